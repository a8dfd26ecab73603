import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it, layer } from "@effect/vitest"
import { ProcessOwner } from "@scoped-mcp/core"
import { NodeProcessOwner } from "@scoped-mcp/node"
import { Duration, Effect, Exit, Fiber, Scope } from "effect"
import {
  alive,
  command,
  eventually,
  fixture,
  makeTag,
  openFiles,
  spawn,
  spawnServer,
  timed,
  zombies
} from "./system.ts"

/** What ends a server of these manners, and the helpers it hides behind. */
const kinds = [
  { manners: [], step: "EndOfInput" },
  { manners: ["mute"], step: "EndOfInput" },
  { manners: ["flood"], step: "EndOfInput" },
  { manners: ["ignore-end"], step: "Terminate" },
  { manners: ["deaf"], step: "Terminate" },
  { manners: ["ignore-end", "ignore-term"], step: "Kill" },
  { manners: ["helper:pipes"], step: "Kill" },
  { manners: ["helper:session"], step: "Kill" },
  { manners: ["helper:escape"], step: "Kill" },
  { manners: ["helper:strange"], step: "Kill" },
  { manners: ["ignore-end", "ignore-term", "helper:pipes", "helper:session", "helper:escape"], step: "Kill" }
] as const

const limit = "2 seconds"
const worst = kinds.at(-1)!.manners

const withHelpers = Effect.fnUntraced(function* (manners: ReadonlyArray<string>, tag: string) {
  const server = yield* spawnServer({ manners, tag, stopTimeout: limit })
  const helpers = manners.filter((manner) => manner.startsWith("helper:")).length
  yield* eventually(
    Effect.sync(() => server.stderr.join("").split("helper").length - 1),
    (count) => count === helpers
  )
  return server
})

layer(NodeProcessOwner.layer, { excludeTestServices: true })("NodeProcessOwner", (it) => {
  it.effect.each(kinds)("ends a server with manners $manners by $step, within its limit", ({ manners, step }) =>
    Effect.gen(function* () {
      const tag = makeTag()
      const { millis, seen, value } = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* withHelpers(manners, tag)
          const seen = yield* alive(tag)
          assert.isAtLeast(seen.length, 1 + manners.filter((manner) => manner.startsWith("helper:")).length)
          return { seen, ...(yield* timed(server.stop)) }
        })
      )
      assert.deepStrictEqual(yield* alive(tag, seen), [])
      assert.strictEqual(value, step)
      assert.isBelow(millis, 2_000 + 500)
      yield* eventually(zombies, (left) => left.length === 0)
    })
  )

  it.effect.each(["success", "failure", "defect", "interruption", "timeout"] as const)(
    "leaves nothing of the worst server after %s",
    (how) =>
      Effect.gen(function* () {
        const tag = makeTag()
        const body = Effect.gen(function* () {
          yield* withHelpers(worst, tag)
          if (how === "failure") return yield* Effect.fail("on purpose")
          if (how === "defect") return yield* Effect.die("on purpose")
          if (how === "success") return undefined
          return yield* Effect.never
        })
        const scoped = Effect.scoped(how === "timeout" ? Effect.timeoutOption(body, "2 seconds") : body)
        const fiber = yield* Effect.forkChild(scoped)
        if (how === "interruption") {
          yield* eventually(alive(tag), (seen) => seen.length >= 5)
          yield* Fiber.interrupt(fiber)
        }
        yield* Fiber.await(fiber)
        assert.deepStrictEqual(yield* alive(tag), [])
      })
  )

  it.effect("closes 20 stubborn servers together in one limit", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      const { millis } = yield* Effect.scoped(
        Effect.gen(function* () {
          const servers = yield* Effect.forEach(
            Array.from({ length: 20 }),
            () => spawnServer({ manners: ["ignore-end", "ignore-term"], tag, stopTimeout: limit }),
            { concurrency: "unbounded" }
          )
          assert.lengthOf(yield* alive(tag), 20)
          const closed = yield* timed(Effect.forEach(servers, (server) => server.stop, { concurrency: "unbounded" }))
          assert.deepStrictEqual(new Set(closed.value), new Set(["Kill"]))
          return closed
        })
      )
      assert.isBelow(millis, 2_000 + 1_000)
      assert.deepStrictEqual(yield* alive(tag), [])
    })
  )

  it.effect("tells of the exit while a helper still holds the pipes", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      const { exit, millis } = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* withHelpers(["helper:pipes", "helper:session"], tag)
          const start = performance.now()
          process.kill(server.pid, "SIGKILL")
          const exit = yield* server.exited
          const millis = performance.now() - start
          assert.isAtLeast((yield* alive(tag)).length, 2)
          assert.strictEqual(server.exits(), 1)
          return { exit, millis }
        })
      )
      assert.deepStrictEqual(exit, { code: undefined, signal: "SIGKILL" })
      assert.isBelow(millis, 700)
      assert.deepStrictEqual(yield* alive(tag), [])
    })
  )

  it.effect("ends helpers that lived on after their server had exited by itself", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      const helpers = ["helper:pipes", "helper:session", "helper:escape", "helper:nameless"]
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* withHelpers(helpers, tag)
          const before = yield* alive(tag)
          server.write(`${JSON.stringify({ id: 1, method: "tools/call", params: { name: "drop" } })}\n`)
          assert.strictEqual((yield* server.exited).code, 9)
          assert.lengthOf(yield* alive(tag, before), before.length - 1)
          return before
        })
      )
      assert.deepStrictEqual(yield* alive(tag, before), [])
    })
  )

  it.effect("reports `Exited` for what had ended before", () =>
    Effect.gen(function* () {
      const server = yield* spawn({ ...command({ tag: makeTag() }), command: "true", args: [] })
      assert.deepStrictEqual(yield* server.exited, { code: 0, signal: undefined })
      assert.strictEqual(yield* server.stop, "Exited")
    })
  )

  it.effect("leaves nothing when it is interrupted at any moment of the start", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      yield* Effect.forEach(
        Array.from({ length: 24 }, (_, index) => index),
        (turns) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(
              Effect.scoped(
                Effect.andThen(spawn(command({ manners: ["ignore-end"], tag, stopTimeout: limit })), Effect.never)
              )
            )
            for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
          }),
        { concurrency: 8, discard: true }
      )
      assert.deepStrictEqual(yield* alive(tag), [])
    })
  )

  it.effect("holds no file, listener or process after 30 turns", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      const turn = Effect.scoped(spawnServer({ tag }))
      const count = () => process.listenerCount("exit")
      yield* turn
      const before = { files: yield* openFiles, listeners: count() }
      yield* Effect.forEach(
        Array.from({ length: 30 }),
        () => Effect.provide(turn, NodeProcessOwner.layer, { local: true }),
        { concurrency: 3, discard: true }
      )
      yield* eventually(openFiles, (files) => files <= before.files)
      assert.strictEqual(count(), before.listeners)
      assert.deepStrictEqual(yield* alive(tag), [])
      yield* eventually(zombies, (left) => left.length === 0)
    })
  )

  const environment = Effect.fnUntraced(function* (inheritEnv: ProcessOwner.ProcessCommand["inheritEnv"]) {
    const print = "process.stderr.write(JSON.stringify(process.env) + '\\nstarted')"
    const server = yield* spawn({ ...command({ tag: "own" }), args: ["-e", print], inheritEnv })
    yield* server.heard("started")
    return JSON.parse(server.stderr.join("").split("\n")[0]!) as Record<string, string>
  })

  it.effect("shows a server only the part of our environment that the policy names", () =>
    Effect.gen(function* () {
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["PLANTED_SECRET"] = "do not tell"
          process.env["PLANTED_OTHER"] = "do not tell either"
        }),
        () =>
          Effect.sync(() => {
            delete process.env["PLANTED_SECRET"]
            delete process.env["PLANTED_OTHER"]
          })
      )
      const minimal = yield* environment("minimal")
      assert.notProperty(minimal, "PLANTED_SECRET")
      assert.strictEqual(minimal["PATH"], process.env["PATH"])
      assert.strictEqual(minimal["TAG"], "own")
      assert.hasAllKeys(yield* environment("none"), ["TAG", "SCOPED_MCP_OWNER"])
      assert.strictEqual((yield* environment("all"))["PLANTED_SECRET"], "do not tell")
      const listed = yield* environment(["PLANTED_SECRET"])
      assert.strictEqual(listed["PLANTED_SECRET"], "do not tell")
      assert.notProperty(listed, "PLANTED_OTHER")
      assert.property(listed, "PATH")
    })
  )

  it.effect("adds its mark to those of the runtimes around it", () =>
    Effect.gen(function* () {
      const before = process.env["SCOPED_MCP_OWNER"]
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["SCOPED_MCP_OWNER"] = "outer.1,outer.2"
        }),
        () =>
          Effect.sync(() => {
            if (before === undefined) delete process.env["SCOPED_MCP_OWNER"]
            else process.env["SCOPED_MCP_OWNER"] = before
          })
      )
      const marks = [
        (yield* environment("minimal"))["SCOPED_MCP_OWNER"]!,
        (yield* environment("none"))["SCOPED_MCP_OWNER"]!
      ]
      for (const mark of marks) assert.match(mark, /^outer\.1,outer\.2,[0-9a-f-]{36}\.\d+$/)
      assert.notStrictEqual(marks[0], marks[1])
    })
  )

  const nowhere = join(tmpdir(), "no such folder of scoped-mcp")
  it.effect.each([
    { what: "a missing program", change: { command: "no-such-program" }, text: /no such program/ },
    { what: "a missing folder", change: { cwd: nowhere }, text: /the folder ".*no such folder.*" does not exist/ },
    { what: "a folder that is a file", change: { cwd: process.execPath }, text: /is not a folder/ },
    { what: "a file that is not executable", change: { command: "/etc/passwd" }, text: /the file is not executable/ },
    { what: "a NUL byte", change: { args: ["a\0b"] }, text: /null bytes/ },
    { what: "more arguments than fit", change: { args: ["x".repeat(3_000_000)] }, text: /too long/ }
  ])("explains $what, and keeps nothing of it", ({ change, text }) =>
    Effect.gen(function* () {
      assert.isFalse(existsSync(nowhere))
      const attempt = Effect.flip(Effect.scoped(spawn({ ...command({ tag: makeTag() }), ...change })))
      const before = yield* openFiles
      const error = yield* attempt
      assert.strictEqual(error._tag, "SpawnFailed")
      assert.match(error.message, text)
      yield* eventually(openFiles, (files) => files <= before)
    })
  )

  // In a process of its own: Node keeps the handles of a process that it could not start for want of files.
  it.effect("explains that no more files can be opened, ends what runs even then, and works again once they can", () =>
    Effect.gen(function* () {
      const args = ["--conditions=@scoped-mcp/source", fixture("noMoreFiles.mjs")]
      const said = yield* Effect.promise(() => promisify(execFile)(process.execPath, args))
      assert.match(said.stdout, /^SpawnFailed: too many open files \(E[MN]FILE\).*\nleft: 0\nthen: true\n$/)
    })
  )

  it.effect("ends what was started while another was ending", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      const sleeper = { ...command({ tag, stopTimeout: "400 millis" }), command: "sleep", args: ["987"] }
      for (let turn = 0; turn < 8; turn++) {
        const first = yield* spawn(sleeper)
        const ending = yield* Effect.forkChild(first.stop, { startImmediately: true })
        const second = yield* spawn(sleeper)
        assert.strictEqual(yield* second.stop, "Terminate")
        yield* Fiber.join(ending)
      }
      assert.deepStrictEqual(yield* alive(tag), [])
    })
  )

  it.effect("answers false when the pipe is full, tells when it takes more, and loses nothing", () =>
    Effect.gen(function* () {
      const server = yield* spawnServer({ manners: ["raw"], tag: makeTag() })
      const piece = "x".repeat(1024 * 1024)
      let written = 0
      while (server.write(piece) || written < 4) written++
      assert.strictEqual(server.drained(), 0)
      yield* eventually(Effect.sync(server.drained), (times) => times > 0)
      const sum = () =>
        server.stdout
          .join("")
          .split("\n")
          .reduce((total, line) => total + Number(line), 0)
      yield* eventually(Effect.sync(sum), (total) => total === (written + 1) * piece.length)
    })
  )

  it.effect("writes what is written in one turn as one piece", () =>
    Effect.gen(function* () {
      const server = yield* spawnServer({ manners: ["raw"], tag: makeTag() })
      for (let i = 0; i < 5; i++) {
        server.write(`message ${i}\n`)
        // Long enough for the server to read what may have reached it already.
        for (const start = performance.now(); performance.now() - start < 20;) Math.random()
      }
      yield* eventually(
        Effect.sync(() => server.stdout.join("")),
        (lengths) => lengths !== ""
      )
      assert.strictEqual(server.stdout.join(""), "50\n")
    })
  )

  it.effect("survives writing to a process that has ended or is stopped", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      const server = yield* spawnServer({ tag })
      process.kill(server.pid, "SIGKILL")
      server.write("into the void\n")
      yield* server.exited
      server.write("into the void\n")
      yield* server.stop
      server.write("into the void\n")
      yield* eventually(alive(tag), (seen) => seen.length === 0)
    })
  )
})

describe("NodeProcessOwner", () => {
  it.effect("ends processes on real time while the program's time stands still", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      const fiber = yield* Effect.forkChild(
        Effect.scoped(Effect.andThen(withHelpers(worst, tag), Effect.never)).pipe(
          Effect.provide(NodeProcessOwner.layer)
        )
      )
      yield* eventually(alive(tag), (seen) => seen.length >= 5)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* alive(tag), [])
    })
  )

  it.live("kills what is still there when its layer ends first", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      const scope = yield* Scope.make()
      const owner = yield* Scope.provide(NodeProcessOwner.make, scope)
      const server = withHelpers(worst, tag).pipe(Effect.provideService(ProcessOwner.ProcessOwner, owner))
      const fiber = yield* Effect.forkDetach(Effect.scoped(Effect.andThen(server, Effect.never)))
      yield* eventually(alive(tag), (seen) => seen.length >= 5)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      // The guard would do it as well, but only after a second.
      yield* eventually(alive(tag), (seen) => seen.length === 0, Duration.millis(700))
      yield* Fiber.join(closing)
      assert.isTrue(
        Exit.isFailure(yield* Fiber.await(fiber).pipe((wait) => Effect.andThen(Fiber.interrupt(fiber), wait)))
      )
    })
  )
})
