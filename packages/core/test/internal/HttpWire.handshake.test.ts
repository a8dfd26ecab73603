import { assert, describe, it } from "@effect/vitest"
import { McpConnection } from "@scoped-mcp/core"
import { Effect, Exit, Option, Scope } from "effect"
import { canary, config, withHttp } from "../support/http.ts"
import * as Platform from "../support/platform.ts"

/** Opens a connection whose handshake the test answers, and says how it failed. */
const refused = (onOther: (post: Platform.Posted) => void, limits = {}) => {
  const http = new Platform.FakeHttp()
  http.onOther = (post) => {
    onOther(post)
    return true
  }
  return Effect.map(
    Effect.exit(Effect.scoped(Effect.provide(McpConnection.make("web", config(limits)), http.layer))),
    (exit) => ({ http, reason: Option.getOrThrow(Exit.findErrorOption(exit)).reason })
  )
}

describe("the handshake over HTTP", () => {
  it.effect("is read from a stream as well, and asks without a session", () => {
    const http = new Platform.FakeHttp()
    http.onOther = (post) => {
      if (post.frame["method"] !== "initialize") return false
      const { protocolVersion } = post.frame["params"] as Record<string, unknown>
      const result = { protocolVersion, capabilities: {}, serverInfo: { name: "s", version: "1" } }
      post.respond(200, { ...Platform.sse, "mcp-session-id": "given" })
      post.data(Platform.event({ jsonrpc: "2.0", id: post.frame["id"], result }))
      return true
    }
    return withHttp(
      (connection) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* connection.diagnostics).sessionId, "given")
          const [initialize, initialized] = http.others
          assert.notProperty(initialize!.request.headers, "mcp-session-id")
          assert.notProperty(initialize!.request.headers, "mcp-protocol-version")
          assert.deepInclude(initialized!.request.headers, {
            "mcp-session-id": "given",
            "mcp-protocol-version": connection.info.protocolVersion
          })
        }),
      { http }
    )
  })

  const failures: Record<string, readonly [answer: (post: Platform.Posted) => void, expected: string]> = {
    "a stream that is cut": [(post) => post.respond(200, Platform.sse, ": wait\n\n"), "ended before the result"],
    "a stream that breaks": [
      (post) => {
        post.respond(200, Platform.sse)
        post.fail(`reset ${canary}`)
      },
      "reset <redacted>"
    ],
    "a page": [(post) => post.respond(200, { "content-type": "text/html" }, "<html>"), "Unexpected content type"],
    "a server error": [(post) => post.respond(500, {}, `sorry ${canary}`), "HTTP 500: sorry <redacted>"],
    "a redirect to elsewhere": [
      (post) => post.respond(307, { location: "https://elsewhere.example/" }, ""),
      "only redirects within its origin are followed"
    ],
    "no connection": [
      (post) => post.listener.onFailure({ delivery: "NotSent", detail: "connect ECONNREFUSED" }),
      "ECONNREFUSED"
    ],
    "an answer over the limit": [
      (post) => {
        post.respond(200, Platform.json)
        post.data("x".repeat(40_000))
      },
      "maxMessageBytes"
    ]
  }
  it.effect.each(Object.keys(failures))("fails at once that meets %s", (name) =>
    Effect.gen(function* () {
      const [answer, expected] = failures[name]!
      const { reason } = yield* refused(answer, { maxMessageBytes: "32 KiB" })
      assert.deepInclude(reason, { _tag: "ConnectFailed", phase: "Handshake" })
      assert.include(reason.message, expected)
      assert.notInclude(reason.message, canary)
    })
  )

  it.effect("that is refused with 401 or 403 asks for credentials", () =>
    Effect.gen(function* () {
      for (const status of [401, 403]) {
        const { reason } = yield* refused((post) => post.respond(status, {}, ""))
        assert.deepInclude(reason, { _tag: "AuthRequired", status })
      }
    })
  )

  it.effect("gives up a body of a refusal that does not end", () =>
    Effect.gen(function* () {
      const { http, reason } = yield* refused((post) => {
        post.respond(500)
        for (let i = 0; i < 100; i++) post.data("x".repeat(1_000))
      })
      assert.strictEqual(reason._tag, "ConnectFailed")
      assert.isTrue(http.others[0]!.aborted)
    })
  )

  it.effect("that is given up leaves no session: the one it opened is ended", () =>
    Effect.gen(function* () {
      const http = new Platform.FakeHttp()
      http.onOther = ({ frame, respond }) => {
        if (frame["method"] === "initialize") return false
        respond(500, {}, "")
        return true
      }
      const scope = yield* Scope.make()
      const opening = McpConnection.make("web", config()).pipe(Effect.provide(http.layer), Scope.provide(scope))
      assert.strictEqual((yield* Effect.flip(opening)).reason._tag, "ConnectFailed")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(
        http.deletes.map(({ request }) => request.headers["mcp-session-id"]),
        ["session-1"]
      )
    })
  )
})
