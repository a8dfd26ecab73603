import { assert, describe, it } from "@effect/vitest"
import { type Limits, McpConnection, ServerConfig } from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { call, canary, failure, settled, text } from "../support/http.ts"
import * as Platform from "../support/platform.ts"
import * as Pool from "../support/pool.ts"

const config = (limits: Limits.ServerLimits = {}) =>
  ServerConfig.sse({ url: "https://example.com/sse", headers: { Authorization: `Bearer ${canary}` }, ...limits })

const endpoint = (address: string) => `event: endpoint\ndata: ${address}\n\n`

/** A server that answers the handshake on its stream, and every POST with 202. */
const sseServer = (
  onGet = ({ data, respond }: Platform.Exchange) => {
    respond(200, Platform.sse)
    data(endpoint("/message?sessionId=1"))
  }
) => {
  const http = new Platform.FakeHttp()
  http.onGet = onGet
  http.onPosted = (post) => post.respond(202, {}, "Accepted")
  http.onOther = (post) => {
    post.respond(202, {}, "Accepted")
    const { frame } = post
    const answer = (result: unknown) => http.gets[0]!.data(Platform.event({ jsonrpc: "2.0", id: frame["id"], result }))
    if (frame["method"] === "initialize") {
      const { protocolVersion } = frame["params"] as Record<string, unknown>
      answer({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "old", version: "1" } })
    }
    if (frame["method"] === "tools/list") answer({ tools: [] })
    return true
  }
  return http
}

const withSse = <A, E>(
  body: (connection: McpConnection.Connection, http: Platform.FakeHttp) => Effect.Effect<A, E>,
  options: Limits.ServerLimits & { readonly http?: Platform.FakeHttp } = {}
) => {
  const { http = sseServer(), ...limits } = options
  return Effect.gen(function* () {
    return yield* body(yield* McpConnection.make("old", config(limits)), http)
  }).pipe(Effect.provide(http.layer), Effect.scoped)
}

const refusal = (http: Platform.FakeHttp) =>
  Effect.map(
    Effect.exit(withSse(() => Effect.void, { http })),
    (exit) => Option.getOrThrow(Exit.findErrorOption(exit)).reason
  )

const lost = { _tag: "ConnectionLost", delivery: "OutcomeUnknown" } as const

describe("SseWire", () => {
  it.effect("posts to the address that the stream names, and reads the answers on the stream", () =>
    withSse((connection, http) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(http.gets[0]!.request.headers, {
          authorization: `Bearer ${canary}`,
          accept: "text/event-stream"
        })
        const steps: Array<number> = []
        const running = yield* call(connection, "t", (step) => steps.push(step))
        const post = http.last("t")
        assert.strictEqual(post.request.url.href, "https://example.com/message?sessionId=1")
        assert.strictEqual(post.request.headers["authorization"], `Bearer ${canary}`)
        const id = post.frame["id"]
        const progress = { progressToken: id, progress: 1 }
        http.gets[0]!.data(Platform.event({ jsonrpc: "2.0", method: "notifications/progress", params: progress }))
        http.gets[0]!.data(Platform.event({ jsonrpc: "2.0", id, result: Platform.hello }))
        assert.strictEqual(yield* text(running), "hello")
        assert.deepStrictEqual(steps, [1])
        assert.deepStrictEqual(yield* connection.listTools, [])
      })
    )
  )

  it.effect("brings notifications, and tells the server of a cancelled call", () =>
    withSse((connection, http) =>
      Effect.gen(function* () {
        const heard = yield* Effect.forkChild(Stream.runHead(connection.notifications), { startImmediately: true })
        yield* settled
        http.gets[0]!.data(Platform.event({ jsonrpc: "2.0", method: "notifications/tools/list_changed" }))
        yield* Fiber.join(heard)
        yield* Fiber.interrupt(yield* call(connection))
        const notice = http.posts.at(-1)!
        assert.deepInclude(notice.frame["params"] as object, { requestId: http.last("t").frame["id"] })
      })
    )
  )

  it.effect.each(["end", "fail"] as const)("ends with its stream, and every call on it is unknown: %s", (how) =>
    withSse((connection, http) =>
      Effect.gen(function* () {
        const running = [yield* call(connection, "a"), yield* call(connection, "b")]
        http.gets[0]![how]()
        for (const fiber of running) assert.deepInclude(yield* failure(fiber), lost)
        assert.include((yield* connection.closed).message, "event stream was lost")
        yield* TestClock.adjust("10 minutes")
        assert.lengthOf(http.gets, 1)
      })
    )
  )

  it.effect("knows what became of a message that is refused", () =>
    Effect.gen(function* () {
      const cases = [
        [(it: Platform.Posted) => it.respond(401), { _tag: "AuthRequired", delivery: "NotSent" }],
        [(it: Platform.Posted) => it.respond(500), { _tag: "ProtocolError", delivery: "Answered" }],
        [
          (it: Platform.Posted) => it.respond(503, { "retry-after": "1" }),
          { _tag: "ProtocolError", delivery: "NotSent" }
        ],
        [(it: Platform.Posted) => it.fail(), lost],
        [
          (it: Platform.Posted) => it.listener.onFailure({ delivery: "NotSent", detail: "refused" }),
          { _tag: "ConnectionLost", delivery: "NotSent" }
        ],
        [(it: Platform.Posted) => it.respond(404), { _tag: "SessionExpired", delivery: "NotSent" }]
      ] as const
      for (const [answer, expected] of cases) {
        const http = sseServer()
        yield* withSse(
          (connection) =>
            Effect.gen(function* () {
              http.onPosted = answer
              const running = yield* call(connection)
              yield* TestClock.adjust("2 seconds")
              assert.deepInclude(yield* failure(running), expected)
            }),
          { http }
        )
      }
    })
  )

  it.effect("ends when the server has forgotten it", () =>
    withSse((connection, http) =>
      Effect.gen(function* () {
        const other = yield* call(connection, "other")
        http.onPosted = (post) => (post === http.last("t") ? post.respond(404) : post.respond(202, {}, ""))
        yield* call(connection)
        assert.deepInclude(yield* failure(other), lost)
        assert.include((yield* connection.closed).message, "session has expired")
        yield* settled
        assert.isTrue(http.gets[0]!.aborted)
      })
    )
  )

  it.effect("does not open with a stream that names no address of its own origin, or is none", () =>
    Effect.gen(function* () {
      const opened = (text: string) => (it: Platform.Exchange) => {
        it.respond(200, Platform.sse)
        it.data(text)
      }
      const cases = [
        [opened(endpoint("https://elsewhere.example/message")), "another origin"],
        [opened(endpoint("http://example.com/message")), "another origin"],
        [opened(endpoint("http://[")), "another origin"],
        [(it: Platform.Exchange) => it.respond(405), "could not be opened: HTTP 405"],
        [(it: Platform.Exchange) => it.respond(200, { "content-type": "text/html" }), "text/html"],
        [(it: Platform.Exchange) => it.respond(200, Platform.sse, ""), "the server ended it"]
      ] as const
      for (const [onGet, expected] of cases) {
        const http = sseServer(onGet)
        const reason = yield* refusal(http)
        assert.deepInclude(reason, { _tag: "ConnectFailed", phase: "Start" })
        assert.include(reason.message, expected)
        assert.lengthOf(http.others, 0)
        assert.isTrue(http.gets[0]!.aborted || expected === "the server ended it")
      }
      const wanted = yield* refusal(
        sseServer((it) => it.respond(401, { "www-authenticate": `Bearer realm="${canary}"` }))
      )
      assert.deepInclude(wanted, { _tag: "AuthRequired", status: 401, challenge: 'Bearer realm="<redacted>"' })
    })
  )

  it.effect("gives up a stream that names no address within connectTimeout, and closes it", () =>
    Effect.gen(function* () {
      const http = sseServer(({ respond }) => respond(200, Platform.sse))
      const opening = yield* Effect.forkChild(refusal(http), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.include((yield* Fiber.join(opening)).message, "connectTimeout")
      assert.isTrue(http.gets[0]!.aborted)
    })
  )

  it.effect("closes its stream with the connection", () =>
    Effect.gen(function* () {
      const http = sseServer()
      yield* withSse((connection) => connection.close, { http })
      assert.isTrue(http.gets[0]!.aborted)
      assert.lengthOf(http.deletes, 0)
    })
  )

  describe("a message over the limit", () => {
    const large = "x".repeat(64 * 1024)
    const cases: Record<string, (id: unknown, other: unknown) => string> = {
      "first, before an id in its data": (id, other) =>
        `{"jsonrpc":"2.0","id":${String(id)},"result":{"id":${String(other)},"text":"${large}"}}`,
      "last, after an id in its data": (id, other) =>
        `{"jsonrpc":"2.0","result":{"text":"${large}","id":${String(other)}},"id":${String(id)}}`
    }
    it.effect.each(Object.keys(cases))("fails only the call whose id it has %s", (name) =>
      withSse(
        (connection, http) =>
          Effect.gen(function* () {
            const other = yield* call(connection, "other")
            const hit = yield* call(connection, "hit")
            const otherId = http.last("other").frame["id"]
            http.gets[0]!.data(`data: ${cases[name]!(http.last("hit").frame["id"], otherId)}\n\n`)
            assert.deepInclude(yield* failure(hit), { _tag: "MessageTooLarge", limit: 32_768 })
            http.gets[0]!.data(Platform.event({ jsonrpc: "2.0", id: otherId, result: Platform.hello }))
            assert.strictEqual(yield* text(other), "hello")
          }),
        { maxMessageBytes: "32 KiB" }
      )
    )

    it.effect("ends the connection when only its data has an id", () =>
      withSse(
        (connection, http) =>
          Effect.gen(function* () {
            const running = yield* call(connection)
            const id = String(http.last("t").frame["id"])
            http.gets[0]!.data(`data: {"jsonrpc":"2.0","id":7,"result":{"id":${id},"text":"${large}"}}\n\n`)
            assert.deepInclude(yield* failure(running), lost)
            assert.include((yield* connection.closed).message, "answers no known request")
          }),
        { maxMessageBytes: "32 KiB" }
      )
    )
  })

  it.effect("holds no request open that nobody waits for, when the server does not answer what is posted", () =>
    withSse((connection, http) =>
      Effect.gen(function* () {
        http.onPosted = () => {}
        const answered = yield* call(connection)
        const post = http.last("t")
        http.gets[0]!.data(Platform.event({ jsonrpc: "2.0", id: post.frame["id"], result: Platform.hello }))
        assert.strictEqual(yield* text(answered), "hello")
        const waiting = yield* call(connection, "slow")
        const givenUp = yield* call(connection, "u")
        yield* Fiber.interrupt(givenUp)
        const notice = http.posts.at(-1)!
        assert.strictEqual(notice.frame["method"], "notifications/cancelled")
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual([post.aborted, notice.aborted], [true, true])
        assert.isFalse(http.last("slow").aborted)
        http.gets[0]!.data(
          Platform.event({ jsonrpc: "2.0", id: http.last("slow").frame["id"], result: Platform.hello })
        )
        assert.strictEqual(yield* text(waiting), "hello")
      })
    )
  )

  it.effect("holds no answer to the server open that it does not take", () =>
    withSse((_, http) =>
      Effect.gen(function* () {
        http.onOther = () => true
        const before = http.others.length
        for (let id = 0; id < 3; id++) http.gets[0]!.data(Platform.event({ jsonrpc: "2.0", id, method: "ping" }))
        yield* Pool.eventually(() => http.others.length === before + 3)
        yield* TestClock.adjust("30 seconds")
        assert.isTrue(http.others.slice(before).every(({ aborted }) => aborted))
      })
    )
  )
})
