import { assert, describe, it } from "@effect/vitest"
import { McpConnection, McpPool, ServerConfig } from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { call, canary, config, failure, text, withHttp } from "../support/http.ts"
import * as Platform from "../support/platform.ts"

describe("HttpWire", () => {
  it.effect("posts with the session, the protocol version and the declared headers, and reads JSON", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const running = yield* call(connection)
        const post = http.last("t")
        assert.deepStrictEqual(post.request.headers, {
          authorization: `Bearer ${canary}`,
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          "mcp-session-id": "session-1",
          "mcp-protocol-version": connection.info.protocolVersion
        })
        post.respond(200, Platform.json, Platform.result(post, Platform.hello))
        assert.strictEqual(yield* text(running), "hello")
      })
    )
  )

  it.effect("sends no session where the server gave none", () => {
    const http = new Platform.FakeHttp()
    http.sessionId = undefined
    return withHttp(
      (connection) =>
        Effect.gen(function* () {
          const running = yield* call(connection)
          assert.notProperty(http.last("t").request.headers, "mcp-session-id")
          http.last("t").respond(404)
          assert.deepInclude(yield* failure(running), { _tag: "ProtocolError", detail: "HTTP 404" })
          const next = yield* call(connection, "next")
          http.last("next").respond(200, Platform.json, Platform.result(http.last("next"), Platform.hello))
          assert.strictEqual(yield* text(next), "hello")
        }),
      { http }
    )
  })

  it.effect("reads a stream of events in pieces: progress first, then the result", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const running = yield* call(connection, "t", (progress) => seen.push(progress))
        const post = http.last("t")
        const id = post.frame["id"]
        post.respond(200, Platform.sse)
        const progress = (n: number) =>
          Platform.event({
            jsonrpc: "2.0",
            method: "notifications/progress",
            params: { progressToken: id, progress: n }
          })
        const stream = `id: 7\ndata:\n\n: ping\n\n${progress(1)}${progress(2)}${Platform.event({ jsonrpc: "2.0", id, result: Platform.hello })}`
        for (const piece of stream.match(/[^]{1,7}/g)!) post.data(piece)
        assert.strictEqual(yield* text(running), "hello")
        assert.deepStrictEqual(seen, [1, 2])
      })
    )
  )

  const refusals: Record<string, readonly [status: number, headers: Record<string, string>, expected: object]> = {
    "401": [
      401,
      { "www-authenticate": `Bearer realm="${canary}"` },
      { _tag: "AuthRequired", status: 401, delivery: "NotSent" }
    ],
    "403": [403, {}, { _tag: "AuthRequired", status: 403, delivery: "Answered" }],
    "429 with Retry-After": [429, { "retry-after": "3" }, { _tag: "ProtocolError", delivery: "NotSent" }],
    "503 with Retry-After": [503, { "retry-after": "3" }, { _tag: "ProtocolError", delivery: "NotSent" }],
    "503 without": [503, {}, { _tag: "ProtocolError", detail: "HTTP 503", delivery: "Answered" }],
    "502, of a gateway in front of it": [502, {}, { _tag: "ProtocolError", delivery: "OutcomeUnknown" }],
    "504, of a gateway in front of it": [504, {}, { _tag: "ProtocolError", delivery: "OutcomeUnknown" }],
    "500": [500, {}, { _tag: "ProtocolError", detail: "HTTP 500", delivery: "Answered" }],
    "a redirect": [
      307,
      { location: "https://elsewhere.example" },
      { _tag: "ProtocolError", detail: "HTTP 307; it redirects, and only redirects within its origin are followed" }
    ],
    "another content type": [
      200,
      { "content-type": `text/html; ${canary}` },
      { _tag: "ProtocolError", delivery: "Answered" }
    ]
  }
  it.effect.each(Object.keys(refusals))("knows what became of a call that meets %s", (name) =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const [status, headers, expected] = refusals[name]!
        const running = yield* call(connection)
        http.last("t").respond(status, headers, "a body that nobody reads")
        const reason = yield* failure(running)
        assert.deepInclude(reason, expected)
        assert.notInclude(JSON.stringify(reason) + reason.message, canary)
        assert.lengthOf(http.posts, 1)
      })
    )
  )

  it.effect("lets go of a response that it refuses, whose body may never end", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const running = yield* call(connection)
        http.last("t").respond(500)
        yield* failure(running)
        assert.isTrue(http.last("t").aborted)
      })
    )
  )

  it.effect("takes an answer that ends before the result for unknown, and a refused connection for not sent", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        for (const type of [Platform.json, Platform.sse]) {
          const running = yield* call(connection)
          http.posts.at(-1)!.respond(200, type, "")
          assert.deepInclude(yield* failure(running), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
        }
        for (const delivery of ["NotSent", "OutcomeUnknown"] as const) {
          const running = yield* call(connection)
          http.posts.at(-1)!.listener.onFailure({ delivery, detail: `refused at ?key=canary-query-123` })
          const reason = yield* failure(running)
          assert.deepInclude(reason, { _tag: "ConnectionLost", delivery })
          assert.notInclude(reason.message, "canary")
        }
      })
    )
  )

  it.effect("says what a server says with a refusal, and takes its answer for one whatever the status", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const refused = yield* call(connection)
        const error = (id: unknown, message: string) =>
          JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32_602, message } })
        http.last("t").respond(400, Platform.json, error(null, `no session, said ${canary}`))
        assert.deepInclude(yield* failure(refused), {
          _tag: "ProtocolError",
          detail: "HTTP 400: no session, said <redacted>"
        })
        const answered = yield* call(connection, "answered")
        const post = http.last("answered")
        post.respond(422, Platform.json, error(post.frame["id"], "unknown tool"))
        assert.deepInclude(yield* failure(answered), { _tag: "ProtocolError", code: -32_602, detail: "unknown tool" })
      })
    )
  )

  it.effect("follows a redirect that stays within the origin, with all that was sent", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const running = yield* call(connection)
        const first = http.last("t")
        first.respond(307, { location: "/mcp/" })
        const second = http.last("t")
        assert.isTrue(first.aborted)
        assert.strictEqual(second.request.url.href, "https://example.com/mcp/")
        assert.deepStrictEqual(second.request.headers, first.request.headers)
        assert.strictEqual(second.request.body, first.request.body)
        second.respond(200, Platform.json, Platform.result(second, Platform.hello))
        assert.strictEqual(yield* text(running), "hello")
      })
    )
  )

  it.effect("follows no circle of redirects", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const running = yield* call(connection)
        http.onPosted = (post) => post.respond(308, { location: "/mcp" })
        http.onPosted(http.last("t"))
        assert.deepInclude(yield* failure(running), { _tag: "ProtocolError" })
        assert.lengthOf(http.posts, 6)
      })
    )
  )

  it.effect("sends user info of the address as Basic credentials, and nowhere else", () => {
    const http = new Platform.FakeHttp()
    return Effect.gen(function* () {
      yield* McpConnection.make(
        "web",
        ServerConfig.http({ era: "legacy", url: "https://us%C3%A9r:p%40ss-word@example.com/mcp" })
      )
      yield* McpConnection.make(
        "declared",
        ServerConfig.http({
          era: "legacy",
          url: "https://user:pass-word@example.com/mcp",
          headers: { authorization: "Bearer own-token" }
        })
      )
      const [first, , second] = http.others
      assert.strictEqual(first!.request.headers["authorization"], "Basic dXPDqXI6cEBzcy13b3Jk")
      assert.strictEqual(first!.request.url.href, "https://example.com/mcp")
      assert.strictEqual(second!.request.headers["authorization"], "Bearer own-token")
    }).pipe(Effect.provide(http.layer), Effect.scoped)
  })

  it.effect("does not call a request unsent that was posted and never answered", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const silent = yield* call(connection)
        yield* TestClock.adjust("60 seconds")
        assert.deepInclude(yield* failure(silent), { _tag: "CallTimeout", delivery: "OutcomeUnknown" })
        const cut = yield* call(connection)
        assert.lengthOf(
          http.posts.filter(({ frame }) => frame["method"] === "tools/call"),
          2
        )
        yield* connection.close
        assert.deepInclude(yield* failure(cut), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
      })
    )
  )

  it.effect.each(["json", "sse"] as const)("refuses an answer over the limit and stops reading it: %s", (name) =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const running = yield* call(connection)
          http.last("t").respond(200, name === "json" ? Platform.json : Platform.sse)
          for (let i = 0; i < 40; i++) http.last("t").data(`data: ${"x".repeat(1_000)}\n`)
          assert.deepInclude(yield* failure(running), { _tag: "MessageTooLarge", limit: 32_768 })
          assert.isTrue(http.last("t").aborted)
        }),
      { maxMessageBytes: "32 KiB" }
    )
  )

  it.effect("passes over a notification over the limit, and reads the answer after it", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const running = yield* call(connection)
          const post = http.last("t")
          post.respond(200, Platform.sse)
          post.data(
            Platform.event({ jsonrpc: "2.0", method: "notifications/message", params: { data: "x".repeat(40_000) } })
          )
          post.data(Platform.event({ jsonrpc: "2.0", id: post.frame["id"], result: Platform.hello }))
          assert.strictEqual(yield* text(running), "hello")
          assert.strictEqual((yield* connection.diagnostics).noiseCount, 1)
        }),
      { maxMessageBytes: "32 KiB" }
    )
  )

  it.effect("lets the server end a stream that has brought its answer, and ends it itself after 2 seconds", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        for (const tool of ["ends", "stays"]) {
          const running = yield* call(connection, tool)
          const post = http.last(tool)
          post.respond(200, Platform.sse)
          post.data(Platform.event({ jsonrpc: "2.0", id: post.frame["id"], result: Platform.hello }))
          assert.strictEqual(yield* text(running), "hello")
        }
        http.last("ends").end()
        yield* TestClock.adjust("1999 millis")
        assert.isFalse(http.last("stays").aborted)
        yield* TestClock.adjust("1 millis")
        assert.isTrue(http.last("stays").aborted)
        assert.isFalse(http.last("ends").aborted)
        assert.lengthOf(http.posts, 2)
      })
    )
  )

  it.effect("stops the stream of a cancelled call and posts the notice", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        const running = yield* call(connection)
        http.last("t").respond(200, Platform.sse)
        yield* Fiber.interrupt(running)
        assert.isTrue(http.last("t").aborted)
        const notice = http.posts.at(-1)!.frame
        assert.strictEqual(notice["method"], "notifications/cancelled")
        assert.deepInclude(notice["params"] as object, { requestId: http.last("t").frame["id"] })
      })
    )
  )

  describe("an expired session", () => {
    it.effect("fails the call as not sent, the others as unknown, and ends the connection", () =>
      withHttp((connection, http) =>
        Effect.gen(function* () {
          const other = yield* call(connection, "other")
          http.last("other").respond(200, Platform.sse)
          const running = yield* call(connection)
          http.last("t").respond(404)
          assert.deepInclude(yield* failure(running), { _tag: "SessionExpired", delivery: "NotSent" })
          assert.deepInclude(yield* failure(other), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
          assert.isTrue(http.last("other").aborted)
          assert.include((yield* connection.closed).message, "session has expired")
        })
      )
    )

    it.effect("that a listing meets is met by one new session for the next request", () => {
      const http = new Platform.FakeHttp()
      http.onPosted = (post) => post.respond(200, Platform.json, Platform.result(post, Platform.hello))
      return Effect.gen(function* () {
        const pool = yield* McpPool.make({ servers: { web: config() } })
        yield* pool.callTool({ server: "web", tool: "t" })
        http.sessionId = "session-2"
        http.expired.add("session-1")
        const { delivery, reason } = yield* Effect.flip(pool.catalogOf("web"))
        assert.deepStrictEqual([reason._tag, delivery], ["SessionExpired", "NotSent"])
        assert.lengthOf((yield* pool.catalogOf("web")).tools, 1)
      }).pipe(Effect.provide(http.layer))
    })

    it.effect("is met by one new session in a pool, and the call is sent once more", () => {
      const http = new Platform.FakeHttp()
      http.onPosted = (post) => {
        if (post.frame["method"] !== "tools/call") return
        const expired = post.request.headers["mcp-session-id"] === "session-1"
        if (expired) {
          http.sessionId = "session-2"
          post.respond(404)
        } else post.respond(200, Platform.json, Platform.result(post, Platform.hello))
      }
      return Effect.gen(function* () {
        const pool = yield* McpPool.make({ servers: { web: config() } })
        assert.strictEqual((yield* pool.callTool({ server: "web", tool: "t" })).text, "hello")
        assert.deepStrictEqual(
          http.posts.map(({ request }) => request.headers["mcp-session-id"]),
          ["session-1", "session-2"]
        )
        const { servers } = yield* pool.stats
        assert.deepInclude(servers[0]!, { opened: 2, lost: 1 })
        assert.deepInclude(servers[0]!.calls, { succeeded: 1, refused: 0 })
      }).pipe(Effect.provide(http.layer))
    })
  })

  it.live("ends the session with a DELETE, and waits for its answer 2 seconds at most", () =>
    Effect.gen(function* () {
      const http = new Platform.FakeHttp()
      http.onDelete = () => {}
      const scope = yield* Scope.make()
      yield* McpConnection.make("web", config()).pipe(Effect.provide(http.layer), Scope.provide(scope))
      const startedAt = performance.now()
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(performance.now() - startedAt, 3_000)
      assert.deepStrictEqual(
        http.deletes.map(({ aborted, request }) => [request.headers["mcp-session-id"], aborted]),
        [["session-1", true]]
      )
    })
  )
})
