import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { type Limits, McpConnection, type McpError, ServerConfig } from "@scoped-mcp/core"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { version } from "../../src/internal/version.ts"
import * as Platform from "../support/platform.ts"
import * as Pool from "../support/pool.ts"
import { type Script, ScriptedPeer } from "../support/ScriptedPeer.ts"

const open = (peer: ScriptedPeer, limits: Limits.ServerLimits = {}) =>
  McpConnection.make("memory", peer.source(limits)).pipe(Effect.provide(Platform.none))

const reasonOf = <A, R>(effect: Effect.Effect<A, McpError.McpError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const methods = (written: ReadonlyArray<{ readonly method?: unknown }>) =>
  written.flatMap(({ method }) => (typeof method === "string" ? [method] : []))

const modernPeer = (script: Script = {}) => new ScriptedPeer({ modern: true, ...script })

const meta = (frame: { readonly params?: unknown }) =>
  (frame.params as { readonly _meta: Readonly<Record<string, unknown>> })._meta

const revision = "io.modelcontextprotocol/protocolVersion"

const stdio = (era: ServerConfig.Era) => ServerConfig.stdio({ command: "run-me", era })

const discovered = { supportedVersions: ["2026-07-28"], capabilities: { tools: {} }, resultType: "complete" }

/** Refuses the old handshake, then ends or stays, and knows the new one. */
const modernOnly =
  (code: number, then: "stays" | "ends") => (child: Platform.FakeProcess, frame: Record<string, unknown>) => {
    if (frame["method"] === "initialize") {
      child.send({
        jsonrpc: "2.0",
        id: frame["id"],
        error: { code, message: "no", data: { supported: ["2026-07-28"] } }
      })
      if (then === "ends") child.exit(1)
    }
    if (frame["method"] === "server/discover") child.reply(frame["id"], discovered)
    if (frame["method"] === "tools/call") child.reply(frame["id"], { resultType: "complete", content: [] })
  }

describe("the era", () => {
  it("comes with the version of the package", () => {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8")
    assert.strictEqual(version, (JSON.parse(text) as { readonly version: string }).version)
  })

  it.effect("of a process is asked for in the old way first, which is all that is sent", () => {
    const children: Array<Platform.FakeProcess> = []
    return Effect.gen(function* () {
      const { info } = yield* McpConnection.make("s", stdio("auto"))
      assert.deepInclude(info, { era: "legacy" })
      assert.deepStrictEqual(methods(children[0]!.written), ["initialize", "notifications/initialized"])
      const { clientInfo } = children[0]!.written[0]!["params"] as { readonly clientInfo: unknown }
      assert.deepStrictEqual(clientInfo, { name: "scoped-mcp", version })
    }).pipe(Effect.provide(Platform.processes(children)))
  })

  it.effect.each([-32_022, -32_601])(
    "of a process that refuses initialize with %d is the new one, in place",
    (code) => {
      const children: Array<Platform.FakeProcess> = []
      return Effect.gen(function* () {
        const connection = yield* McpConnection.make("s", stdio("auto"))
        assert.deepInclude(connection.info, { era: "modern", protocolVersion: "2026-07-28" })
        yield* connection.callTool({ tool: "t" })
        assert.lengthOf(children, 1)
        assert.deepStrictEqual(methods(children[0]!.written), ["initialize", "server/discover", "tools/call"])
      }).pipe(Effect.provide(Platform.processes(children, modernOnly(code, "stays"))))
    }
  )

  it.effect("of a process that ends over initialize is asked for in a fresh one, once", () => {
    const children: Array<Platform.FakeProcess> = []
    return Effect.gen(function* () {
      const { info } = yield* McpConnection.make("s", stdio("auto"))
      assert.strictEqual(info.era, "modern")
      assert.deepStrictEqual(
        children.map(({ written }) => methods(written)),
        [["initialize"], ["server/discover"]]
      )
    }).pipe(Effect.provide(Platform.processes(children, modernOnly(-32_022, "ends"))))
  })

  it.effect("is not looked for any further when the process just ends", () => {
    const children: Array<Platform.FakeProcess> = []
    return Effect.gen(function* () {
      const reason = yield* reasonOf(McpConnection.make("s", stdio("auto")))
      assert.deepInclude(reason, { _tag: "ConnectFailed", phase: "Handshake", exitCode: 3 })
      assert.lengthOf(children, 1)
    }).pipe(Effect.provide(Platform.processes(children, (child) => child.exit(3))))
  })

  it.effect("has one limit for all that it takes", () => {
    const children: Array<Platform.FakeProcess> = []
    const silent = (child: Platform.FakeProcess, frame: Record<string, unknown>) => {
      if (frame["method"] === "initialize") modernOnly(-32_022, "ends")(child, frame)
    }
    return Effect.gen(function* () {
      const opening = yield* Effect.forkChild(reasonOf(McpConnection.make("s", stdio("auto"))), {
        startImmediately: true
      })
      yield* Pool.eventually(() => children.length === 2 && children[1]!.written.length === 1)
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(opening.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const reason = yield* Fiber.join(opening)
      assert.include(reason.message, "no answer within 10s (connectTimeout)")
    }).pipe(Effect.provide(Platform.processes(children, silent)))
  })

  it.effect("is what the configuration says, and no other is tried", () => {
    const children: Array<Platform.FakeProcess> = []
    return Effect.gen(function* () {
      assert.strictEqual((yield* McpConnection.make("s", stdio("modern"))).info.era, "modern")
      assert.deepStrictEqual(methods(children[0]!.written), ["server/discover"])
      assert.strictEqual((yield* reasonOf(McpConnection.make("s", stdio("legacy"))))._tag, "ConnectFailed")
      assert.deepStrictEqual(methods(children[1]!.written), ["initialize"])
    }).pipe(Effect.provide(Platform.processes(children, modernOnly(-32_022, "stays"))))
  })

  describe("of 2026", () => {
    it.effect("says with every request and notice who asks", () =>
      Effect.gen(function* () {
        const peer = modernPeer()
        const connection = yield* open(peer)
        assert.deepInclude(connection.info, { era: "modern", instructions: "be kind" })
        assert.deepStrictEqual(connection.info.serverInfo, { name: "scripted", version: "2.0.0" })
        yield* connection.callTool({ tool: "echo" })
        yield* connection.listTools
        const call = yield* Pool.start(connection.callTool({ tool: "hang" }))
        yield* peer.until(() => peer.ran("hang") === 1)
        yield* Fiber.interrupt(call)
        for (const method of ["server/discover", "tools/call", "tools/list", "notifications/cancelled"]) {
          const sent = meta(peer.sent(method)[0]!)
          assert.strictEqual(sent[revision], "2026-07-28", method)
          assert.deepInclude(sent["io.modelcontextprotocol/clientInfo"], { name: "scoped-mcp" })
          assert.deepStrictEqual(sent["io.modelcontextprotocol/clientCapabilities"], {})
        }
      })
    )

    it.effect("is pinged by asking the server to describe itself", () =>
      Effect.gen(function* () {
        const peer = modernPeer()
        yield* (yield* open(peer)).ping
        assert.lengthOf(peer.sent("server/discover"), 2)
        assert.lengthOf(peer.sent("ping"), 0)
      })
    )

    it.effect.each([
      [{ content: [], resultType: "partial" }, 'its resultType is "partial"'],
      [{ content: [], resultType: 7 }, "its resultType is 7"]
    ] as const)("has results of known kinds only: %j", ([result, detail]) =>
      Effect.gen(function* () {
        const connection = yield* open(modernPeer({ tools: { t: (call) => call.reply(result) } }))
        assert.deepInclude(yield* reasonOf(connection.callTool({ tool: "t" })), { _tag: "InvalidResult", detail })
      })
    )

    it.effect("has results of no kind, which are complete", () =>
      Effect.gen(function* () {
        const result = { content: [{ type: "text", text: "done" }], resultType: undefined }
        const connection = yield* open(modernPeer({ tools: { t: (call) => call.reply(result) } }))
        assert.strictEqual((yield* connection.callTool({ tool: "t" })).text, "done")
      })
    )

    it.effect("is asked a level of log messages with every request, and the other era by one", () =>
      Effect.gen(function* () {
        const level = "io.modelcontextprotocol/logLevel"
        const peer = modernPeer({ capabilities: { tools: {}, logging: {} } })
        const connection = yield* open(peer)
        yield* connection.callTool({ tool: "echo" })
        yield* connection.setLogLevel("warning")
        yield* connection.callTool({ tool: "echo" })
        assert.deepStrictEqual(
          peer.sent("tools/call").map((frame) => meta(frame)[level]),
          [undefined, "warning"]
        )
        const old = new ScriptedPeer({ capabilities: { logging: {} }, methods: { "logging/setLevel": () => ({}) } })
        yield* (yield* open(old)).setLogLevel("error")
        assert.deepInclude(old.sent("logging/setLevel")[0]!.params, { level: "error" })
        const none = yield* open(new ScriptedPeer())
        assert.deepInclude(yield* reasonOf(none.setLogLevel("error")), { _tag: "ProtocolError", delivery: "NotSent" })
      })
    )
  })

  describe("in a pool", () => {
    it.effect("is remembered, and adopted without a question by the next connection", () =>
      Effect.gen(function* () {
        const peer = modernPeer()
        const pool = yield* Pool.make({ s: peer.source() })
        yield* pool.callTool({ server: "s", tool: "echo" })
        yield* pool.reconnect("s")
        yield* pool.callTool({ server: "s", tool: "echo" })
        assert.deepStrictEqual(
          peer.sessions.map(({ received }) => methods(received)),
          [["initialize", "server/discover", "tools/call"], ["tools/call"]]
        )
      })
    )

    it.effect("is found out anew when the server speaks another by then, and the call is sent once more", () =>
      Effect.gen(function* () {
        const peer = modernPeer()
        const pool = yield* Pool.make({ s: peer.source() })
        yield* pool.callTool({ server: "s", tool: "echo" })
        peer.script = { ...peer.script, modern: false }
        const answer = peer.answer.bind(peer)
        peer.answer = (session, frame) => {
          const isOpened = session.sent("initialize").length > 0
          if (frame.method !== "tools/call" || isOpened) return answer(session, frame)
          session.raw({ jsonrpc: "2.0", id: frame.id, error: { code: -32_022, message: "another version" } })
        }
        yield* pool.reconnect("s")
        assert.strictEqual((yield* pool.callTool({ server: "s", tool: "echo" })).text, "{}")
        assert.strictEqual(peer.ran("echo"), 2)
        const status = yield* pool.stats
        assert.strictEqual(status.servers[0]!.protocolVersion, "2025-11-25")
        assert.deepStrictEqual(methods(peer.sessions[1]!.received), ["tools/call"])
        assert.deepStrictEqual(methods(peer.sessions[2]!.received).slice(0, 1), ["initialize"])
      })
    )

    it.effect("that a tool has answered in another one is forgotten, and the call is not repeated", () =>
      Effect.gen(function* () {
        const peer = modernPeer()
        const pool = yield* Pool.make({ s: peer.source() })
        yield* pool.callTool({ server: "s", tool: "echo" })
        yield* pool.reconnect("s")
        peer.script = { ...peer.script, modern: false }
        const reason = yield* reasonOf(pool.callTool({ server: "s", tool: "echo" }))
        assert.deepInclude(reason, { _tag: "InvalidResult", delivery: "Answered" })
        assert.strictEqual(peer.ran("echo"), 2)
        yield* Pool.eventually(() => peer.open.length === 0)
        yield* pool.callTool({ server: "s", tool: "echo" })
        assert.lengthOf(peer.last.sent("initialize"), 1)
      })
    )

    it.effect("is asked for again when a refusal may be that of a tool that has run, and other calls go on", () =>
      Effect.gen(function* () {
        const peer = modernPeer()
        let finish = () => {}
        peer.script = {
          ...peer.script,
          tools: {
            ...peer.script.tools,
            full: ({ refuse }) => refuse(-32_000, "Disk full"),
            slow: ({ text }) => void (finish = () => text("done"))
          }
        }
        const pool = yield* Pool.make({ s: peer.source() })
        yield* pool.callTool({ server: "s", tool: "echo" })
        yield* pool.reconnect("s")
        const slow = yield* Pool.start(pool.callTool({ server: "s", tool: "slow" }))
        yield* Pool.eventually(() => peer.ran("slow") === 1)
        const reason = yield* reasonOf(pool.callTool({ server: "s", tool: "full" }))
        assert.deepInclude(reason, { _tag: "ProtocolError", code: -32_000, delivery: "Answered" })
        assert.strictEqual(peer.ran("full"), 1)
        yield* Pool.eventually(() => peer.last.sent("server/discover").length === 1)
        finish()
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(slow)))
        yield* pool.callTool({ server: "s", tool: "echo" })
        assert.lengthOf(peer.sessions, 2)
        assert.lengthOf(peer.last.sent("server/discover"), 1)
      })
    )
  })
})
