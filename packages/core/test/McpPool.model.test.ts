import { assert, describe, it } from "@effect/vitest"
import type { McpError } from "@scoped-mcp/core"
import { Effect, Exit, type Fiber, Logger, Random, References } from "effect"
import { TestClock } from "effect/testing"
import { assertLegal, eventually, make, recorded } from "./support/pool.ts"
import { ScriptedPeer, tools } from "./support/ScriptedPeer.ts"

const names = ["a", "b", "c"]
const seeds = Array.from({ length: 40 }, (_, n) => `pool-${n}`)

describe("a pool under everything at once", () => {
  it.effect.each(seeds)("settles every call, runs none twice and leaves nothing open: %s", (seed) =>
    Effect.gen(function* () {
      const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
      const peers = names.map(
        () =>
          new ScriptedPeer({
            tools: { ...tools, late: (call) => setImmediate(() => call.text("late")) },
            // Every fifth connection fails, one way or the other.
            handshake: (session) => (session % 5 === 3 ? "drop" : session % 5 === 4 ? "ignore" : "answer")
          })
      )
      const source = (n: number) =>
        peers[n]!.source({
          maxConcurrency: 3,
          maxWaiting: 5,
          connectTimeout: "2 seconds",
          callIdleTimeout: "5 seconds",
          idleTimeToLive: "20 seconds"
        })
      const pool = yield* make(Object.fromEntries(names.map((name, n) => [name, source(n)])), {
        maxConcurrency: 5,
        acquireTimeout: "10 seconds"
      })
      const events = yield* recorded(pool)
      const calls: Array<{
        readonly tool: string
        readonly fiber: Fiber.Fiber<Exit.Exit<unknown, McpError.McpError>>
      }> = []
      const others: Array<Fiber.Fiber<unknown, unknown>> = []
      const meanwhile = (effect: Effect.Effect<unknown, McpError.McpError>) =>
        Effect.map(Effect.forkDetach(effect, { startImmediately: true }), (fiber) => others.push(fiber))
      // Fibres that may yield between any two steps meet each other between any two steps.
      const ops = [3, 5, 7, 2_048][yield* below(4)]!

      yield* Effect.gen(function* () {
        for (let step = 0; step < 120; step++) {
          const n = yield* below(names.length)
          const server = names[n]!
          switch (yield* below(24)) {
            case 0:
            case 1: {
              const call = calls[yield* below(Math.max(1, calls.length))]
              call?.fiber.interruptUnsafe()
              break
            }
            case 2:
              peers[n]!.open[0]?.drop()
              break
            case 3:
              yield* meanwhile(pool.evict(server))
              break
            case 4:
              yield* pool.suspend(server)
              break
            case 5:
              yield* pool.resume()
              break
            case 6:
              yield* meanwhile(pool.reconnect(server))
              break
            case 7:
              yield* meanwhile(pool.warmup([server]))
              break
            case 8:
              yield* pool.replace(server, source(n))
              break
            case 9:
              yield* meanwhile(pool.drain(server, "3 seconds"))
              break
            case 10:
              yield* meanwhile(pool.use(server, (connection) => connection.callTool({ tool: "late" })))
              break
            case 11:
              if ((yield* below(4)) === 0) yield* meanwhile(Effect.andThen(pool.stop, pool.start))
              break
            case 12:
              yield* meanwhile(pool.catalog)
              peers[n]!.open[0]?.notify("notifications/tools/list_changed")
              break
            case 13:
            case 14:
            case 15:
              yield* TestClock.adjust(`${yield* below(4_000)} millis`)
              break
            default: {
              const tool = ["echo", "late", "late", "hang", "die", "fail"][yield* below(6)]!
              const fiber = yield* Effect.forkDetach(Effect.exit(pool.callTool({ server, tool })), {
                startImmediately: true
              })
              calls.push({ tool, fiber })
            }
          }
        }
      }).pipe(Effect.provideService(References.MaxOpsBeforeYield, ops))

      yield* pool.start
      yield* pool.resume()
      // The longest wait there is: a place, the connection, the call.
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("1 second")
      yield* eventually(() => calls.every(({ fiber }) => fiber.pollUnsafe() !== undefined))
      yield* eventually(() => others.every((fiber) => fiber.pollUnsafe() !== undefined))
      yield* eventually(() => Effect.map(pool.stats, ({ running, waiting }) => running === 0 && waiting === 0))
      const before = yield* pool.stats
      for (const { leases, running, waiting } of before.servers) {
        assert.deepStrictEqual([leases, running, waiting], [0, 0, 0])
      }
      for (const name of names) {
        // After all that, every server is used again.
        yield* eventually(
          () => Effect.map(Effect.exit(pool.callTool({ server: name, tool: "echo" })), Exit.isSuccess),
          3
        ).pipe(Effect.raceFirst(Effect.andThen(TestClock.adjust("10 seconds"), Effect.never)))
      }
      for (const tool of ["hang", "die", "fail"]) {
        const ran = peers.reduce((total, peer) => total + peer.ran(tool), 0)
        assert.isAtMost(ran, calls.filter((call) => call.tool === tool).length, tool)
      }
      for (const { fiber, tool } of calls) {
        const exit = fiber.pollUnsafe()!
        if (Exit.isSuccess(exit) && Exit.isFailure(exit.value)) {
          assert.isFalse(
            exit.value.cause.reasons.some(({ _tag }) => _tag === "Die"),
            `${tool}: ${String(exit.value.cause)}`
          )
        }
      }
      yield* pool.close
      for (const peer of peers) assert.lengthOf(peer.open, 0)
      assertLegal(events)
    }).pipe(Random.withSeed(seed), Effect.provide(Logger.layer([])))
  )
})
