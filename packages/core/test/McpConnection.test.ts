import { assert, describe, it, vi } from "@effect/vitest"
import { type Limits, McpConnection, type McpError, ServerConfig } from "@scoped-mcp/core"
import { Cause, Effect, Exit, Fiber, Latch, Layer, Option, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "./support/platform.ts"
import { ScriptedPeer, type Tool, tools } from "./support/ScriptedPeer.ts"

const firstId = 1_000_000_000

const open = (peer: ScriptedPeer, limits: Limits.ServerLimits = {}) =>
  McpConnection.make("memory", peer.source(limits)).pipe(Effect.provide(Platform.none))

const reasonOf = <A>(effect: Effect.Effect<A, McpError.McpError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** Starts a call and waits until its tool runs. */
const started = (peer: ScriptedPeer, connection: McpConnection.Connection, call: McpConnection.CallTool) =>
  Effect.gen(function* () {
    const before = peer.ran(call.tool)
    const fiber = yield* Effect.forkChild(Effect.exit(connection.callTool(call)))
    yield* peer.until(() => peer.ran(call.tool) > before)
    return fiber
  })

const failure = (exit: Exit.Exit<unknown, McpError.McpError>) => Option.getOrThrow(Exit.findErrorOption(exit)).reason

describe("McpConnection", () => {
  it.effect("shakes hands and calls a tool", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      assert.deepInclude(connection.info, { server: "memory", target: "memory", instructions: "be kind" })
      assert.strictEqual(connection.info.serverInfo?.name, "scripted")
      const result = yield* connection.callTool({ tool: "echo", arguments: { a: [1, null] } })
      assert.strictEqual(result.text, '{"a":[1,null]}')
      assert.deepStrictEqual(
        peer.last.received.map(({ method }) => method),
        ["initialize", "notifications/initialized", "tools/call"]
      )
    })
  )

  it.effect("numbers its requests from 1,000,000,000, which the SDK never reaches", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      for (let i = 0; i < 3; i++) yield* connection.callTool({ tool: "echo" })
      yield* connection.listTools
      assert.deepStrictEqual(
        peer.sent("tools/call").map(({ id }) => id),
        [firstId, firstId + 1, firstId + 2]
      )
      assert.strictEqual(peer.sent("tools/list")[0]!.id, firstId + 3)
      assert.isBelow(peer.sent("initialize")[0]!.id!, firstId)
      const { _meta } = peer.sent("tools/call")[0]!.params as { _meta: unknown }
      assert.deepStrictEqual(_meta, { progressToken: firstId })
    })
  )

  it.effect("sends what a caller puts beside the request, and lets it take the place of nothing of ours", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      yield* connection.callTool({ tool: "echo", meta: { "acme/key": "k1", progressToken: 7 } })
      const { _meta } = peer.sent("tools/call")[0]!.params as { _meta: unknown }
      assert.deepStrictEqual(_meta, { "acme/key": "k1", progressToken: firstId })
    })
  )

  it.effect("fails with ToolError and the whole result when the tool reports failure", () =>
    Effect.gen(function* () {
      const reason = yield* reasonOf((yield* open(new ScriptedPeer())).callTool({ tool: "fail" }))
      assert.deepInclude(reason, {
        _tag: "ToolError",
        tool: "fail",
        text: "no such table",
        result: { isError: true, content: [{ type: "text", text: "no such table" }] }
      })
    })
  )

  it.effect("fails with ProtocolError and the server's own code and data when it refuses", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ tools: { no: (call) => call.refuse(-32000, "not today", { until: "monday" }) } })
      const reason = yield* reasonOf((yield* open(peer)).callTool({ tool: "no" }))
      assert.deepInclude(reason, {
        _tag: "ProtocolError",
        code: -32000,
        detail: "not today",
        data: { until: "monday" },
        delivery: "Answered"
      })
    })
  )

  const malformed: Record<string, unknown> = {
    null: null,
    list: [],
    text: "text",
    "content is no list": { content: "text" },
    "block without text": { content: [{ type: "text" }] },
    "block of no type": { content: [{ text: "a" }] },
    "failure of no shape": { isError: true, content: [42] }
  }
  it.effect.each(Object.keys(malformed))("fails with InvalidResult for a result that is malformed: %s", (name) =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ tools: { ...tools, bad: (call) => call.reply(malformed[name]) } })
      const connection = yield* open(peer)
      assert.deepInclude(yield* reasonOf(connection.callTool({ tool: "bad" })), {
        _tag: "InvalidResult",
        delivery: "Answered"
      })
      yield* connection.callTool({ tool: "echo" })
    })
  )

  describe("limits of a call", () => {
    it.effect("gives up after the idle limit, tells the server, and takes the late answer as a stray", () =>
      Effect.gen(function* () {
        const peer = new ScriptedPeer()
        const connection = yield* open(peer)
        const call = yield* started(peer, connection, { tool: "hang" })
        yield* TestClock.adjust("59999 millis")
        assert.isUndefined(call.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const reason = failure(yield* Fiber.join(call))
        assert.deepInclude(reason, { _tag: "CallTimeout", phase: "Idle", delivery: "OutcomeUnknown" })
        assert.deepStrictEqual(
          peer.sent("notifications/cancelled").map(({ params }) => params!["requestId"]),
          [firstId]
        )
        peer.last.raw({ jsonrpc: "2.0", id: firstId, result: { content: [] } })
        assert.deepInclude(yield* connection.diagnostics, { strays: 1, pending: 0 })
        assert.strictEqual((yield* connection.callTool({ tool: "echo" })).text, "{}")
      })
    )

    it.effect("is re-armed by progress, up to the ceiling", () =>
      Effect.gen(function* () {
        const peer = new ScriptedPeer()
        const connection = yield* open(peer, { callIdleTimeout: "10 seconds", callTimeout: "25 seconds" })
        const call = yield* started(peer, connection, { tool: "hang" })
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust("8 seconds")
          peer.last.notify("notifications/progress", { progressToken: firstId, progress: i })
        }
        assert.isUndefined(call.pollUnsafe())
        yield* TestClock.adjust("999 millis")
        assert.isUndefined(call.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const reason = failure(yield* Fiber.join(call))
        assert.deepInclude(reason, { _tag: "CallTimeout", phase: "Total", delivery: "OutcomeUnknown" })
        assert.lengthOf(peer.sent("notifications/cancelled"), 1)
      })
    )

    it.effect("counts the silence from the last progress", () =>
      Effect.gen(function* () {
        const peer = new ScriptedPeer()
        const connection = yield* open(peer, { callIdleTimeout: "10 seconds" })
        const call = yield* started(peer, connection, { tool: "hang" })
        yield* TestClock.adjust("8 seconds")
        peer.last.notify("notifications/progress", { progressToken: firstId, progress: 1 })
        yield* TestClock.adjust("9999 millis")
        assert.isUndefined(call.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepInclude(failure(yield* Fiber.join(call)), { phase: "Idle" })
      })
    )

    it.effect("does not send a request that is too large, counted in bytes", () =>
      Effect.gen(function* () {
        const peer = new ScriptedPeer()
        const connection = yield* open(peer, { maxRequestBytes: "1 KiB" })
        const reason = yield* reasonOf(connection.callTool({ tool: "echo", arguments: { text: "ü".repeat(500) } }))
        assert.deepInclude(reason, { _tag: "MessageTooLarge", direction: "Request", limit: 1024, delivery: "NotSent" })
        yield* connection.callTool({ tool: "echo", arguments: { text: "u".repeat(500) } })
        assert.strictEqual(peer.ran("echo"), 1)
      })
    )
  })

  it.effect("settles an interrupted call at once, tells the server, and stays usable", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      const call = yield* started(peer, connection, { tool: "hang" })
      yield* Fiber.interrupt(call)
      assert.isTrue(Cause.hasInterruptsOnly(Option.getOrThrow(Exit.getCause(yield* Fiber.await(call)))))
      assert.deepInclude(peer.sent("notifications/cancelled")[0]!.params, { requestId: firstId })
      assert.deepInclude(yield* connection.diagnostics, { pending: 0 })
      yield* connection.callTool({ tool: "echo" })
    })
  )

  it.effect("delivers progress in order and before the result", () =>
    Effect.gen(function* () {
      const work: Tool = (call) => {
        for (const step of [1, 2, 3]) call.progress(step, 3)
        call.text("done")
        call.progress(4)
      }
      const connection = yield* open(new ScriptedPeer({ tools: { work } }))
      const seen: Array<number | string> = []
      const onProgress = ({ progress, total }: { progress: number; total: number | undefined }) =>
        seen.push(`${progress}/${total}`)
      yield* Effect.tap(connection.callTool({ tool: "work", onProgress }), ({ text }) =>
        Effect.sync(() => seen.push(text))
      )
      assert.deepStrictEqual(seen, ["1/3", "2/3", "3/3", "done"])
      yield* Effect.yieldNow // the tool goes on after its result
      assert.deepInclude(yield* connection.diagnostics, { strays: 1 })
    })
  )

  it.effect("lets a call die of its own progress handler, and no other with it", () =>
    Effect.gen(function* () {
      const work: Tool = (call) => {
        call.progress(1)
        call.text("done")
      }
      const peer = new ScriptedPeer({ tools: { work } })
      const connection = yield* open(peer)
      const onProgress = () => {
        throw new Error("a mistake of the caller")
      }
      const exit = yield* Effect.exit(connection.callTool({ tool: "work", onProgress }))
      assert.isTrue(Exit.hasDies(exit))
      assert.strictEqual((yield* connection.callTool({ tool: "work" })).text, "done")
      assert.lengthOf(peer.sent("notifications/cancelled"), 1)
    })
  )

  it.effect("keeps calls apart, whatever the order of their answers", () =>
    Effect.gen(function* () {
      const held: Array<() => void> = []
      const peer = new ScriptedPeer({
        tools: { hold: (call) => void held.push(() => call.text(String(call.arguments["n"]))) }
      })
      const connection = yield* open(peer)
      const calls = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 20 }, (_, n) => n),
          (n) => connection.callTool({ tool: "hold", arguments: { n } }),
          {
            concurrency: "unbounded"
          }
        )
      )
      yield* peer.until(() => held.length === 20)
      for (const answer of held.toReversed()) answer()
      assert.deepStrictEqual(
        (yield* Fiber.join(calls)).map(({ text }) => Number(text)),
        Array.from({ length: 20 }, (_, n) => n)
      )
    })
  )

  it.effect("fails what is under way as unknown when the connection is lost, and what comes later as not sent", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      const call = yield* started(peer, connection, { tool: "hang" })
      peer.last.drop()
      assert.deepInclude(failure(yield* Fiber.join(call)), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
      assert.deepInclude(yield* reasonOf(connection.callTool({ tool: "echo" })), {
        _tag: "ConnectionLost",
        delivery: "NotSent"
      })
      assert.strictEqual((yield* connection.closed)._tag, "ConnectionLost")
      assert.strictEqual(peer.ran("echo"), 0)
    })
  )

  it.effect("fails what is under way when its scope closes, before the transport closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const order: Array<string> = []
      const peer = new ScriptedPeer({ closing: () => Promise.resolve(order.push("transport closes")).then(() => {}) })
      const connection = yield* Scope.provide(open(peer), scope)
      const call = yield* started(peer, connection, { tool: "hang" })
      call.addObserver(() => order.push("call fails"))
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(failure(yield* Fiber.join(call)), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
      assert.deepStrictEqual(order, ["call fails", "transport closes"])
      assert.strictEqual(peer.last.state, "Closed")
    })
  )

  it.effect("fails at connectTimeout, naming the phase, when the handshake is never answered", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ handshake: () => "ignore" })
      const opening = yield* Effect.forkChild(reasonOf(Effect.scoped(open(peer, { connectTimeout: "7 seconds" }))))
      yield* TestClock.adjust("6999 millis")
      assert.isUndefined(opening.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const reason = yield* Fiber.join(opening)
      assert.deepInclude(reason, { _tag: "ConnectFailed", phase: "Handshake", delivery: "NotSent" })
      assert.include(reason.message, "no answer within 7s (connectTimeout)")
      assert.lengthOf(peer.open, 0)
    })
  )

  it.effect("streams notifications in the order they came", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      const reading = yield* connection.notifications.pipe(
        Stream.map(({ params }) => params!["n"]),
        Stream.take(100),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      yield* Effect.yieldNow
      for (let n = 0; n < 100; n++) peer.last.notify("notifications/test", { n })
      assert.deepStrictEqual(
        yield* Fiber.join(reading),
        Array.from({ length: 100 }, (_, n) => n)
      )
    })
  )

  it.effect("loses a reader that has stopped the oldest notifications, and the others none", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      const read = (each: (n: unknown) => Effect.Effect<void>) =>
        connection.notifications.pipe(
          Stream.map(({ params }) => params!["n"]),
          Stream.tap(each),
          Stream.takeUntil((n) => n === 999),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
      const goOn = yield* Latch.make()
      const stalled = yield* read(() => goOn.await)
      const awake = yield* read(() => Effect.void)
      yield* Effect.yieldNow
      for (let n = 0; n < 1_000; n++) {
        peer.last.notify("notifications/test", { n })
        if (n % 50 === 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      assert.lengthOf(yield* Fiber.join(awake), 1_000)
      yield* goOn.open
      assert.isBelow((yield* Fiber.join(stalled)).length, 600)
    })
  )

  it.effect("asks for no list that the server does not offer, nor lets the SDK print that it did not", () =>
    Effect.gen(function* () {
      const printed = (["log", "debug", "info", "warn", "error"] as const).map((level) =>
        vi.spyOn(console, level).mockImplementation(() => {})
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => printed.forEach((spy) => spy.mockRestore())))
      const peer = new ScriptedPeer({
        capabilities: { prompts: {} },
        methods: { "prompts/list": () => ({ prompts: [{ name: "greet" }] }) }
      })
      const connection = yield* open(peer)
      assert.deepStrictEqual(yield* connection.listTools, [])
      assert.deepStrictEqual(yield* connection.listResources, [])
      assert.deepStrictEqual(yield* connection.listResourceTemplates, [])
      assert.deepStrictEqual(yield* connection.listPrompts, [{ name: "greet" }])
      assert.lengthOf(peer.sent("tools/list"), 0)
      assert.lengthOf(peer.sent("resources/list"), 0)
      assert.isTrue(printed.every((spy) => spy.mock.calls.length === 0))
    })
  )

  it.effect("reads resources, gets prompts, completes, and refuses answers of another shape", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({
        methods: {
          "resources/read": ({ uri }) => (uri === "bad:" ? {} : { contents: [{ uri, text: "text" }] }),
          "prompts/get": ({ name }) => ({ messages: [], description: name }),
          "completion/complete": ({ ref }) => ({ completion: { values: [JSON.stringify(ref)] } }),
          ping: () => ({})
        }
      })
      const connection = yield* open(peer)
      assert.deepStrictEqual((yield* connection.readResource({ uri: "a:b" })).contents, [{ uri: "a:b", text: "text" }])
      assert.strictEqual((yield* reasonOf(connection.readResource({ uri: "bad:" })))._tag, "InvalidResult")
      assert.strictEqual((yield* connection.getPrompt({ prompt: "p" })).description, "p")
      const argument = { name: "a", value: "b" }
      assert.deepStrictEqual((yield* connection.complete({ ref: { uriTemplate: "a:{b}" }, argument })).values, [
        '{"type":"ref/resource","uri":"a:{b}"}'
      ])
      yield* connection.ping
    })
  )

  it.effect("lives beside others under a tag of its own", () => {
    const one = new ScriptedPeer({ tools: { who: (call) => call.text("one") } })
    const two = new ScriptedPeer({ tools: { who: (call) => call.text("two") } })
    class One extends McpConnection.Service<One>()("one", one.source()) {}
    class Two extends McpConnection.Service<Two>()("two", two.source()) {}
    return Effect.gen(function* () {
      const first = yield* One
      const second = yield* Two
      assert.strictEqual((yield* first.callTool({ tool: "who" })).text, "one")
      assert.strictEqual((yield* second.callTool({ tool: "who" })).text, "two")
    }).pipe(
      Effect.provide(Layer.merge(One.layer, Two.layer).pipe(Layer.provide(Platform.none))),
      Effect.andThen(Effect.sync(() => assert.deepStrictEqual([one.open.length, two.open.length], [0, 0])))
    )
  })

  describe("secrets", () => {
    const canary = "canary-0815-canary"
    const config = ServerConfig.stdio({ command: "run-me", env: { TOKEN: canary } })

    /** A server that repeats the secret wherever it can. */
    const talkative = (child: Platform.FakeProcess, frame: Record<string, unknown>) => {
      Platform.shakesHands(child, frame)
      if (frame["method"] !== "tools/call") return
      const { name } = frame["params"] as Record<string, unknown>
      if (name === "refuse") {
        child.send({
          jsonrpc: "2.0",
          id: frame["id"],
          error: { code: -1, message: canary, data: { [canary]: [canary] } }
        })
      } else if (name === "fail") {
        child.reply(frame["id"], {
          isError: true,
          content: [{ type: "text", text: canary }],
          structuredContent: { canary }
        })
      } else {
        child.stderr(`${canary}\n`)
        child.stdout(`${canary}\n`)
        child.exit(1)
      }
    }

    it.effect.each(["refuse", "fail", "die"])("are in no error of a call, whatever the server repeats: %s", (tool) =>
      Effect.gen(function* () {
        const connection = yield* McpConnection.make("s", config)
        const error = yield* Effect.flip(connection.callTool({ tool }))
        const seen = JSON.stringify([
          error,
          error.reason,
          error.message,
          yield* connection.diagnostics,
          connection.info
        ])
        assert.notInclude(seen, canary)
        assert.include(seen, "<redacted>")
      }).pipe(Effect.provide(Platform.processes([], talkative)))
    )

    it.effect("are in no error of a failed connect, which says how the server died and what it printed", () => {
      const dies = (child: Platform.FakeProcess) => {
        child.stdout(`starting with ${canary}\n`)
        child.stderr(`no such module\n${canary} is wrong\n`)
        child.exit(3)
      }
      return Effect.gen(function* () {
        const error = yield* Effect.flip(McpConnection.make("s", config))
        assert.deepInclude(error.reason, {
          _tag: "ConnectFailed",
          phase: "Handshake",
          target: "run-me",
          exitCode: 3,
          stderr: "no such module | <redacted> is wrong",
          noise: ["starting with <redacted>"],
          attempt: 1
        })
        assert.notInclude(JSON.stringify(error) + error.message, canary)
      }).pipe(Effect.provide(Platform.processes([], dies)))
    })
  })
})
