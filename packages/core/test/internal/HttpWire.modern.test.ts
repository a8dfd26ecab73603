import { assert, describe, it } from "@effect/vitest"
import { PROTOCOL_VERSION_META_KEY } from "@modelcontextprotocol/client"
import { Effect, Fiber } from "effect"
import * as CallEngine from "../../src/CallEngine.ts"
import * as DeadlineWheel from "../../src/internal/DeadlineWheel.ts"
import * as HttpWire from "../../src/internal/HttpWire.ts"
import { canary, config } from "../support/http.ts"
import * as Platform from "../support/platform.ts"

const version = "2026-07-28"
const envelope = { _meta: { [PROTOCOL_VERSION_META_KEY]: version } }

/** A line, its face, and an engine on it, without a handshake. */
const withLine = <A, E>(
  body: (line: {
    readonly wire: Effect.Success<ReturnType<typeof HttpWire.make>>
    readonly engine: CallEngine.CallEngine
    readonly http: Platform.FakeHttp
  }) => Effect.Effect<A, E>
) => {
  const http = new Platform.FakeHttp()
  return Effect.gen(function* () {
    const wheel = yield* DeadlineWheel.make
    const wire = yield* HttpWire.make("web", config(), wheel)
    const engine = CallEngine.make(
      "web",
      wire,
      wheel,
      config().limits,
      (text) => text,
      () => {}
    )
    return yield* body({ wire, engine, http })
  }).pipe(Effect.provide(http.layer), Effect.scoped)
}

const request = (engine: CallEngine.CallEngine, method: string, params: Record<string, unknown>) =>
  Effect.forkDetach(Effect.exit(engine.request(method, { ...params, ...envelope })), { startImmediately: true })

const discover = { jsonrpc: "2.0", id: "probe", method: "server/discover", params: envelope } as const

describe("revision 2026-07-28 over HTTP", () => {
  it.effect("has no session, no stream of the server's and no DELETE", () =>
    Effect.gen(function* () {
      const http = yield* withLine(({ engine, http, wire }) =>
        Effect.gen(function* () {
          const face = wire.transport()
          face.setProtocolVersion!(version)
          yield* Effect.promise(() => face.send({ jsonrpc: "2.0", method: "notifications/initialized" }))
          const running = yield* request(engine, "tools/call", { name: "t" })
          const headers = http.last("t").request.headers
          assert.notProperty(headers, "mcp-session-id")
          assert.deepInclude(headers, { "mcp-protocol-version": version, "mcp-method": "tools/call", "mcp-name": "t" })
          yield* Fiber.interrupt(running)
          return http
        })
      )
      assert.lengthOf(http.gets, 0)
      assert.lengthOf(http.deletes, 0)
    })
  )

  it.effect("says in headers what a request is about, whatever its name is written in", () =>
    withLine(({ engine, http, wire }) =>
      Effect.gen(function* () {
        wire.transport().setProtocolVersion!(version)
        const cases = [
          ["tools/call", { name: "ünïcode" }, "=?base64?w7xuw69jb2Rl?="],
          ["prompts/get", { name: " padded" }, "=?base64?IHBhZGRlZA==?="],
          ["resources/read", { uri: "file:///a b" }, "file:///a b"],
          ["resources/read", { uri: "=?base64?YQ==?=" }, "=?base64?PT9iYXNlNjQ/WVE9PT89?="],
          ["tools/call", { name: "" }, "=?base64??="],
          ["completion/complete", { name: "not about this" }, undefined]
        ] as const
        for (const [method, params, expected] of cases) {
          const running = yield* request(engine, method, params)
          const { headers } = http.posts.at(-1)!.request
          assert.strictEqual(headers["mcp-name"], expected)
          assert.strictEqual(headers["mcp-method"], method)
          yield* Fiber.interrupt(running)
        }
      })
    )
  )

  it.effect("sends parameters in headers, and lets them change no other header", () =>
    withLine(({ http, wire }) =>
      Effect.sync(() => {
        const listener = { onHanded: () => {}, onFailure: () => {}, isSettled: () => false }
        const frame = {
          jsonrpc: "2.0",
          id: 1_000_000_000,
          method: "tools/call",
          params: { name: "t", ...envelope }
        } as const
        const extra = { "Mcp-Param-Region": "eu", authorization: "Bearer other", "mcp-name": "u" }
        for (const era of [version, "2025-11-25"]) {
          wire.transport().setProtocolVersion!(era)
          const params = era === version ? frame.params : { name: "t" }
          wire.post({ ...frame, params }, JSON.stringify({ ...frame, params }), listener, extra)("enough")
          const { headers } = http.posts.findLast((post) => post.frame["method"] === "tools/call")!.request
          assert.strictEqual(headers["Mcp-Param-Region"], "eu")
          assert.notInclude(Object.values(headers), "Bearer other")
          assert.notInclude(Object.values(headers), "u")
        }
      })
    )
  )

  it.effect("cancels a call by ending its stream, without a word", () =>
    withLine(({ engine, http, wire }) =>
      Effect.gen(function* () {
        wire.transport().setProtocolVersion!(version)
        const running = yield* request(engine, "tools/call", { name: "t" })
        http.last("t").respond(200, Platform.sse)
        yield* Fiber.interrupt(running)
        assert.isTrue(http.last("t").aborted)
        assert.lengthOf(http.posts, 1)
      })
    )
  )

  it.effect("is probed with the version of the probe, and a refusal reaches the SDK as it must", () =>
    withLine(({ http, wire }) =>
      Effect.gen(function* () {
        const face = wire.transport()
        const answers: Array<unknown> = []
        face.onmessage = (message) => answers.push(message)
        const error = { jsonrpc: "2.0", id: "probe", error: { code: -32_022, message: "other version" } }
        http.onOther = (post) => {
          post.respond(400, Platform.json, JSON.stringify(error))
          return true
        }
        yield* Effect.promise(() => face.send(discover))
        assert.deepInclude(http.others[0]!.request.headers, {
          "mcp-protocol-version": version,
          "mcp-method": "server/discover"
        })
        assert.deepStrictEqual(answers, [error])
        http.onOther = (post) => {
          post.respond(400, {}, `what, ${canary}?`)
          return true
        }
        const refused = yield* Effect.flip(Effect.tryPromise(() => face.send(discover)))
        assert.deepInclude(refused.cause, { name: "SdkHttpError", code: "CLIENT_HTTP_NOT_IMPLEMENTED" })
        assert.deepInclude(refused.cause, { data: { status: 400, statusText: "", text: "what, <redacted>?" } })
        // The next client begins anew.
        const next = wire.transport()
        http.onOther = () => false
        const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "c", version: "1" } }
        yield* Effect.promise(() => next.send({ jsonrpc: "2.0", id: 0, method: "initialize", params }))
        assert.lengthOf(answers, 1)
        assert.notProperty(http.others.at(-1)!.request.headers, "mcp-protocol-version")
      })
    )
  )

  it.effect("lets the SDK end one of its requests, and tells it when the stream of one ends", () =>
    withLine(({ http, wire }) =>
      Effect.gen(function* () {
        http.onOther = () => true
        const face = wire.transport()
        face.setProtocolVersion!(version)
        let ends = 0
        const send = (signal?: AbortSignal) =>
          Effect.forkDetach(
            Effect.exit(
              Effect.tryPromise(() => face.send(discover, { requestSignal: signal, onRequestStreamEnd: () => ends++ }))
            ),
            { startImmediately: true }
          )
        const controller = new AbortController()
        const aborted = yield* send(controller.signal)
        controller.abort()
        yield* Fiber.join(aborted)
        assert.isTrue(http.others[0]!.aborted)
        assert.strictEqual(ends, 0)
        const cut = yield* send()
        http.others[1]!.respond(200, Platform.sse, ": open\n\n")
        yield* Fiber.join(cut)
        assert.strictEqual(ends, 1)
        const closed = yield* send()
        yield* wire.stop
        yield* Fiber.join(closed)
        assert.isTrue(http.others[2]!.aborted)
      })
    )
  )

  it.effect("ends the stream of a request that the SDK cancels by a notice, as the revisions before did not", () =>
    withLine(({ http, wire }) =>
      Effect.gen(function* () {
        http.onOther = ({ frame }) => frame["method"] === "prompts/list"
        const face = wire.transport()
        const running = yield* Effect.forkDetach(
          Effect.exit(Effect.tryPromise(() => face.send({ jsonrpc: "2.0", id: 3, method: "prompts/list" }))),
          { startImmediately: true }
        )
        http.onPosted = (post) => post.respond(202, {}, "")
        const cancelled = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 3 } } as const
        yield* Effect.promise(() => face.send(cancelled))
        yield* Fiber.join(running)
        assert.isTrue(http.others[0]!.aborted)
      })
    )
  )
})
