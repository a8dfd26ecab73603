import { writeSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "@modelcontextprotocol/client"
import { McpConnection, McpPool, type ServerConfig, ServerSource } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Journal, LeakCheck, ScriptedServer } from "@scoped-mcp/testing"
import { Effect, type Fiber, Logger, Scheduler } from "effect"
import echo from "./support/echo.ts"

/** Interrupts a fibre when the fibres under this scheduler have made so many steps; counts them all. */
class Cutting extends Scheduler.MixedScheduler {
  steps = 0
  victim: Fiber.Fiber<unknown, unknown> | undefined
  readonly at: number

  constructor(at: number) {
    super()
    this.at = at
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>) {
    if (++this.steps === this.at) this.victim?.interruptUnsafe()
    return super.shouldYield(fiber)
  }
}

/** Runs a program that is interrupted at its k-th step, and tells whether it had as many. */
const cutAt = (k: number, program: Effect.Effect<unknown>) =>
  Effect.callback<boolean>((resume) => {
    const scheduler = new Cutting(k)
    const fiber = Effect.runFork(Effect.yieldNow.pipe(Effect.andThen(program)), { scheduler })
    scheduler.victim = fiber
    fiber.addObserver(() => resume(Effect.succeed(scheduler.steps >= k)))
  })

/** Cuts at the first step, then `stride` further, and so on, until the program has no more. */
const cutEverywhere = Effect.fnUntraced(function* <E>(
  name: string,
  stride: number,
  program: Effect.Effect<unknown>,
  leavingNothing: (cut: Effect.Effect<boolean>, k: number) => Effect.Effect<boolean, E>
) {
  let points = 0
  for (let k = 1; yield* leavingNothing(cutAt(k, program), k); k += stride) points++
  // Past the runner, which hides what a passing test prints: a promise is only worth the points it was tried at.
  writeSync(2, `${name}: interrupted at ${points} points\n`)
  return points
})

/** The server's own journal says whether it still has a session of ours. */
const noOpenSession = (journal: Journal.Journal) => (cut: Effect.Effect<boolean>, k: number) =>
  Effect.tap(cut, () =>
    Effect.map(journal.entries, (entries) =>
      assert.deepStrictEqual(Journal.openSessions(entries), [], `a session is open after a cut at step ${k}`)
    )
  )

const quiet = Effect.provide(Logger.layer([]))

/** Opens, calls and closes, in a pool and by hand. */
const poolProgram = (servers: McpPool.Options["servers"]) =>
  Effect.gen(function* () {
    const pool = yield* McpPool.make({ servers })
    yield* pool.callTool({ server: "echo", tool: "echo" })
    yield* pool.catalog
    yield* pool.close
  }).pipe(Effect.scoped, Effect.provide(McpNode.layer), quiet, Effect.ignore)

const connectionProgram = (config: ServerConfig.ServerConfig) =>
  Effect.gen(function* () {
    const connection = yield* McpConnection.make("echo", config)
    yield* connection.callTool({ tool: "echo" })
    yield* connection.close
  }).pipe(Effect.scoped, Effect.provide(McpNode.layer), quiet, Effect.ignore)

/** The same transport, which tells of every message before and after it is handed on. */
const stepped = (inner: Transport, step: () => void): Transport => {
  const outer: Transport = {
    start: () => {
      inner.onmessage = (message, extra) => {
        step()
        outer.onmessage?.(message, extra)
        step()
      }
      inner.onclose = () => outer.onclose?.()
      inner.onerror = (error) => outer.onerror?.(error)
      return inner.start()
    },
    send: async (message, options) => {
      step()
      await inner.send(message, options)
      step()
    },
    close: () => inner.close()
  }
  return outer
}

/** Interrupts a program `turns` promise jobs after the k-th step of a transport, and tells whether it had as many. */
const cutAtHop = (k: number, turns: number, source: ServerSource.FromTransport) =>
  Effect.callback<boolean>((resume) => {
    let steps = 0
    const step = () => {
      if (++steps !== k) return
      const later = (left: number): void =>
        left === 0 ? victim.interruptUnsafe() : queueMicrotask(() => later(left - 1))
      later(turns)
    }
    const hopping = ServerSource.fromTransport(
      source.identity,
      Effect.map(source.make, (transport) => stepped(transport, step))
    )
    const victim = Effect.runFork(Effect.andThen(Effect.yieldNow, poolProgram({ echo: hopping })))
    victim.addObserver(() => resume(Effect.succeed(steps >= k)))
  })

describe("interruption at every step of connect, call and close", { timeout: 120_000 }, () => {
  it.live("leaves no session of a server in memory open, through a pool", () =>
    Effect.gen(function* () {
      const { journal, source } = ScriptedServer.inMemory(echo)
      const program = poolProgram({ echo: source })
      assert.isAbove(yield* cutEverywhere("memory, pool", 1, program, noOpenSession(journal)), 300)
    })
  )

  it.live("leaves no session open when it comes between two promises of the SDK", () =>
    Effect.gen(function* () {
      const { journal, source } = ScriptedServer.inMemory(echo)
      let points = 0
      // The SDK goes through a handful of promise jobs for each message.
      for (const turns of [0, 1, 2, 3, 5, 8]) {
        for (let k = 1; yield* noOpenSession(journal)(cutAtHop(k, turns, source), k); k++) points++
      }
      writeSync(2, `memory, promises of the SDK: interrupted at ${points} points\n`)
      assert.isAbove(points, 60)
    })
  )

  it.live("leaves no process and no descriptor of a server on stdio, by hand", () =>
    Effect.gen(function* () {
      const program = connectionProgram(ScriptedServer.stdio({ module: new URL("support/echo.ts", import.meta.url) }))
      // A process takes its time to start, so not every step is cut at; nothing in it repeats every eleven steps.
      assert.isAbove(yield* cutEverywhere("stdio, connection", 11, program, (cut) => LeakCheck.check(cut)), 40)
    })
  )

  it.live("leaves no session of a server over HTTP open, through a pool", () =>
    Effect.gen(function* () {
      const { config, journal } = yield* ScriptedServer.http(echo)
      const program = poolProgram({ echo: config })
      assert.isAbove(yield* cutEverywhere("HTTP, pool", 5, program, noOpenSession(journal)), 100)
    })
  )
})
