import { assert, describe, it } from "@effect/vitest"
import { type Limits, McpConnection, type McpError, ServerConfig } from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "../support/platform.ts"

const answer = { content: [{ type: "text", text: "answer" }] }

/** A connection to a process that answers the handshake; the rest is up to the test. */
const withChild = <A, E>(
  body: (connection: McpConnection.Connection, child: Platform.FakeProcess) => Effect.Effect<A, E, never>,
  limits: Limits.ServerLimits = {}
) => {
  const children: Array<Platform.FakeProcess> = []
  return Effect.gen(function* () {
    const connection = yield* McpConnection.make("s", ServerConfig.stdio({ command: "run-me", ...limits }))
    return yield* body(connection, children[0]!)
  }).pipe(Effect.provide(Platform.processes(children)), Effect.scoped)
}

const call = (connection: McpConnection.Connection, tool: string) =>
  Effect.forkDetach(Effect.exit(connection.callTool({ tool })), { startImmediately: true })

const failure = (fiber: Fiber.Fiber<Exit.Exit<unknown, McpError.McpError>>) =>
  Effect.map(Fiber.join(fiber), (exit) => Option.getOrThrow(Exit.findErrorOption(exit)).reason)

const idOf = (child: Platform.FakeProcess, tool: string) => child.calls(tool)[0]!["id"] as number

describe("StdioWire", () => {
  it.effect("skips and counts lines that are no messages, and keeps the first of them", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        for (let i = 0; i < 10; i++) child.stdout(`log line ${i} ${"x".repeat(300)}\n`)
        const running = yield* call(connection, "t")
        child.reply(idOf(child, "t"), answer)
        yield* Fiber.join(running)
        const { noise, noiseCount } = yield* connection.diagnostics
        assert.strictEqual(noiseCount, 10)
        assert.deepStrictEqual(
          noise.map((line) => line.slice(0, 10)),
          ["log line 0", "log line 1", "log line 2", "log line 3", "log line 4"]
        )
        assert.isTrue(noise.every((line) => line.length <= 200))
      })
    )
  )

  it.effect.prop(
    "answers its calls through whatever bytes come between: invalid UTF-8, halves of messages, in any pieces",
    [Schema.Array(Schema.Uint8Array), Schema.Int],
    ([rubbish, cut]) =>
      withChild((connection, child) =>
        Effect.gen(function* () {
          const step = 1 + (Math.abs(cut) % 11)
          const send = (bytes: Uint8Array) => {
            for (let at = 0; at < bytes.length; at += step) child.stdout(bytes.subarray(at, at + step))
          }
          for (const bytes of [new TextEncoder().encode('{"jsonrpc":"2.0","method":"notif'), ...rubbish]) {
            const running = yield* call(connection, "t")
            const id = child.calls("t").at(-1)!["id"]
            send(bytes)
            send(new TextEncoder().encode(`\n${JSON.stringify({ jsonrpc: "2.0", id, result: answer })}\n`))
            assert.isTrue(Exit.isSuccess(yield* Fiber.join(running)))
          }
        })
      )
  )

  it.effect("fails a call at once whose answer is no message, and no other", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        const [cut, other] = [yield* call(connection, "cut"), yield* call(connection, "other")]
        child.stdout(`{"level":"info","jsonrpc":"2.0","id":${idOf(child, "other")},"text":"cut\n`)
        child.stdout(`{"jsonrpc":"2.0","id":${idOf(child, "cut")},"result":{"content":[{"type":"te\n`)
        assert.deepInclude(yield* failure(cut), { _tag: "InvalidResult" })
        child.reply(idOf(child, "other"), answer)
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(other)))
        assert.strictEqual((yield* connection.diagnostics).noiseCount, 2)
      })
    )
  )

  it.effect("reads frames that come in pieces, together, and with carriage returns", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        const one = yield* call(connection, "one")
        const two = yield* call(connection, "two")
        const frames = [idOf(child, "two"), idOf(child, "one")]
          .map(
            (id) =>
              `${JSON.stringify({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text: `ü${id}` }] } })}\r\n`
          )
          .join("")
        for (const byte of new TextEncoder().encode(frames)) child.stdout(Uint8Array.of(byte))
        for (const [fiber, tool] of [
          [one, "one"],
          [two, "two"]
        ] as const) {
          const exit = yield* Fiber.join(fiber)
          assert.strictEqual(Exit.isSuccess(exit) ? exit.value.text : "", `ü${idOf(child, tool)}`)
        }
      })
    )
  )

  it.effect("hands over nothing after `write` answered false until it drains, and then in order", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        child.full = true
        for (const tool of ["a", "b", "c", "d"]) yield* call(connection, tool)
        const handed = () => child.calls().map(({ params }) => (params as Record<string, unknown>)["name"])
        assert.deepStrictEqual(handed(), ["a"])
        child.drain()
        assert.deepStrictEqual(handed(), ["a", "b", "c", "d"])
      })
    )
  )

  it.effect("writes one piece per drain while the pipe stays full", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        child.full = true
        for (const tool of ["a", "b", "c"]) yield* call(connection, tool)
        child.listener.onDrain()
        assert.lengthOf(child.calls(), 2)
        child.listener.onDrain()
        assert.lengthOf(child.calls(), 3)
      })
    )
  )

  it.effect("never sends a call that was cancelled or timed out in its own queue, nor a notice of it", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        child.full = true
        yield* call(connection, "first")
        const cancelled = yield* call(connection, "cancelled")
        const timedOut = yield* call(connection, "timed out")
        yield* Fiber.interrupt(cancelled)
        yield* TestClock.adjust("60 seconds")
        assert.deepInclude(yield* failure(timedOut), { _tag: "CallTimeout", delivery: "NotSent" })
        child.drain()
        assert.lengthOf(child.calls(), 1)
        const notices = child.written.filter(({ method }) => method === "notifications/cancelled")
        assert.deepStrictEqual(
          notices.map(({ params }) => (params as Record<string, unknown>)["requestId"]),
          [idOf(child, "first")]
        )
      })
    )
  )

  it.effect("ends a connection that asks without reading the answers, before they fill the memory", () =>
    withChild(
      (connection, child) =>
        Effect.gen(function* () {
          child.full = true
          yield* call(connection, "first")
          for (let id = 0; id < 2_000; id++) child.stdout(`{"jsonrpc":"2.0","id":"p${id}","method":"ping"}\n`)
          assert.include((yield* connection.closed).message, "does not read what it is sent")
        }),
      { maxMessageBytes: "32 KiB" }
    )
  )

  describe("a message over the limit", () => {
    const limits = { maxMessageBytes: "32 KiB" } as const
    const large = "x".repeat(64 * 1024)
    const rows = JSON.stringify(Array.from({ length: 3_000 }, (_, i) => ({ id: 1_234_567_890 + i })))

    const cases: Record<string, (id: number, other: number) => string> = {
      "its id comes first": (id) => `{"jsonrpc":"2.0","id":${id},"result":{"text":"${large}"}}`,
      "its id comes last": (id) => `{"jsonrpc":"2.0","result":{"text":"${large}"},"id":${id}}`,
      "its id comes first, before ids of its data": (id) => `{"jsonrpc":"2.0","id":${id},"result":{"rows":${rows}}}`,
      "its id comes last, after ids of its data": (id) => `{"jsonrpc":"2.0","result":{"rows":${rows}},"id":${id}}`,
      "its data holds the id of another call": (id, other) =>
        `{"jsonrpc":"2.0","result":{"text":"${large}","id":${other}},"id":${id}}`
    }
    it.effect.each(Object.keys(cases))("fails only the call it answers when %s", (name) =>
      withChild(
        (connection, child) =>
          Effect.gen(function* () {
            const other = yield* call(connection, "other")
            const hit = yield* call(connection, "hit")
            child.stdout(`${cases[name]!(idOf(child, "hit"), idOf(child, "other"))}\n`)
            assert.deepInclude(yield* failure(hit), { _tag: "MessageTooLarge", direction: "Response", limit: 32_768 })
            child.reply(idOf(child, "other"), answer)
            assert.isTrue(Exit.isSuccess(yield* Fiber.join(other)))
          }),
        limits
      )
    )

    it.effect("spares the call whose id is only in its data, and ends the connection", () =>
      withChild(
        (connection, child) =>
          Effect.gen(function* () {
            const named = yield* call(connection, "named")
            const id = idOf(child, "named")
            child.stdout(
              `{"jsonrpc":"2.0","id":7,"result":{"id":${id},"text":"${large}","rows":[{"a":1,"id":${id}}]}}\n`
            )
            assert.deepInclude(yield* failure(named), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
            assert.include((yield* connection.closed).message, "answers no known request")
          }),
        limits
      )
    )

    it.effect("is harmless when it answers a call that was given up", () =>
      withChild(
        (connection, child) =>
          Effect.gen(function* () {
            const gone = yield* call(connection, "gone")
            yield* Fiber.interrupt(gone)
            child.stdout(`${cases["its id comes first"]!(idOf(child, "gone"), 0)}\n`)
            const next = yield* call(connection, "next")
            child.reply(idOf(child, "next"), answer)
            assert.isTrue(Exit.isSuccess(yield* Fiber.join(next)))
            assert.strictEqual((yield* connection.diagnostics).strays, 1)
          }),
        limits
      )
    )

    it.effect("ends the connection when it never ends itself, so that the next call has another one", () =>
      withChild(
        (connection, child) =>
          Effect.gen(function* () {
            const hit = yield* call(connection, "hit")
            const swallowed = yield* call(connection, "swallowed")
            child.stdout(`{"jsonrpc":"2.0","id":${idOf(child, "hit")},"result":{"text":"`)
            for (let i = 0; i < 5; i++) child.stdout(large)
            assert.deepInclude(yield* failure(hit), { _tag: "MessageTooLarge" })
            assert.deepInclude(yield* failure(swallowed), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
            assert.include((yield* connection.closed).message, "a line without end")
          }),
        limits
      )
    )

    it.effect("ends the connection when nobody knows which call it answers", () =>
      withChild(
        (connection, child) =>
          Effect.gen(function* () {
            const running = [yield* call(connection, "a"), yield* call(connection, "b")]
            child.stdout(`{"jsonrpc":"2.0","id":1999999999,"result":{"text":"${large}"}}\n`)
            for (const fiber of running) {
              assert.deepInclude(yield* failure(fiber), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
            }
            assert.include((yield* connection.closed).message, "over 32768 bytes")
          }),
        limits
      )
    )
  })

  it.effect("tells a running call how the process ended, and a queued one that it was not sent", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        child.full = true
        const running = yield* call(connection, "running")
        const queued = yield* call(connection, "queued")
        child.stderr("out of memory\n")
        child.exit(undefined, "SIGKILL")
        assert.deepInclude(yield* failure(running), {
          _tag: "ConnectionLost",
          delivery: "OutcomeUnknown",
          signal: "SIGKILL",
          stderr: "out of memory"
        })
        assert.deepInclude(yield* failure(queued), { _tag: "ConnectionLost", delivery: "NotSent" })
        assert.lengthOf(child.calls(), 1)
      })
    )
  )

  it.effect("says why a program could not be started", () =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip(McpConnection.make("s", ServerConfig.stdio({ command: "run-me" })))
      assert.deepInclude(reason, { _tag: "ConnectFailed", phase: "Start", detail: "no processes here" })
    }).pipe(Effect.provide(Platform.none))
  )
})
