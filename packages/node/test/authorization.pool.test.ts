import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Authorization, AuthorizationBrowser, McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode, NodeTokenStore } from "@scoped-mcp/node"
import { Effect, Layer } from "effect"
import * as OAuthServer from "./oauthServer.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Goes where the page sends it, as a browser does, and back to us. */
const browser = Layer.succeed(AuthorizationBrowser.AuthorizationBrowser, {
  open: (url) => Effect.promise(() => fetch(url).then((response) => response.text()))
})

const pooled = <A, E, R>(
  url: string,
  auth: Authorization.Authorization,
  use: Effect.Effect<A, E, R>,
  person: Layer.Layer<never> | typeof browser = browser
) =>
  Effect.flatMap(folder, (path) =>
    use.pipe(
      Effect.provide(McpPool.layer({ servers: { guarded: ServerConfig.http({ url, auth }) } })),
      Effect.provide(Layer.mergeAll(McpNode.layer, NodeTokenStore.layer({ folder: path }), person))
    )
  )

const call = (tool: string) => Effect.flatMap(McpPool.McpPool, (pool) => pool.callTool({ server: "guarded", tool }))

describe("a pool of a server that wants authorisation", { timeout: 60_000 }, () => {
  it.live("asks a person once for a hundred first calls, and refreshes once", () =>
    Effect.gen(function* () {
      const server = yield* OAuthServer.make
      const many = Effect.forEach(Array.from({ length: 100 }), (_, i) => call(`t${i}`), { concurrency: "unbounded" })
      yield* pooled(
        server.url,
        Authorization.code(),
        Effect.gen(function* () {
          yield* many
          server.revokeAccess()
          yield* many
          server.settings.toolScope = "write"
          yield* call("more")
        })
      )
      assert.deepStrictEqual(server.seen.tokenRequests, ["authorization_code", "refresh_token", "authorization_code"])
      assert.lengthOf(server.seen.calls, 201)
      assert.isFalse(server.seen.reused)
    })
  )

  it.live("tells which page to open when there is no browser", () =>
    Effect.gen(function* () {
      const server = yield* OAuthServer.make
      const error = yield* pooled(server.url, Authorization.code(), Effect.flip(call("t")), Layer.empty)
      assert.deepInclude(error.reason, { _tag: "AuthRequired", server: "guarded", scope: "read" })
      assert.include(error.message, `open ${server.login}/authorize?`)
    })
  )

  it.live("says that a token of ours is not taken, and does not show it", () =>
    Effect.gen(function* () {
      const server = yield* OAuthServer.make
      const error = yield* pooled(server.url, Authorization.bearer("bearer-canary"), Effect.flip(call("t")))
      assert.deepInclude(error.reason, { _tag: "AuthRequired", status: 401 })
      assert.notInclude(JSON.stringify(error), "canary")
    })
  )
})
