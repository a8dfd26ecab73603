import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Authorization, AuthorizationBrowser, Authorizers, HttpDispatcher, ServerConfig } from "@scoped-mcp/core"
import { NodeHttpDispatcher, NodeLoopbackListener, NodeTokenStore } from "@scoped-mcp/node"
import { Effect, Exit, Layer, Logger, Scope } from "effect"
import * as OAuthServer from "./oauthServer.ts"
import { start } from "./program.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Goes where the page sends it, as a browser does, and back to us. */
const browser = Layer.succeed(AuthorizationBrowser.AuthorizationBrowser, {
  open: (url) =>
    Effect.promise(async () => {
      const response = await fetch(url)
      await response.text()
    })
})

const platform = (path: string) =>
  Layer.mergeAll(NodeHttpDispatcher.layer, NodeLoopbackListener.layer, NodeTokenStore.layer({ folder: path }), browser)

/** A client of the endpoint, as far as HTTP goes: what is refused is sent again when it may be. */
const open = Effect.fnUntraced(function* (url: string, auth: Authorization.OAuth = Authorization.code()) {
  const dispatcher = yield* HttpDispatcher.HttpDispatcher
  const authorizers = yield* Authorizers.make
  const config = { ...ServerConfig.http({ url, auth }), auth }
  const authorized = yield* authorizers.get("guarded", config)
  const call = (tool: string) =>
    Effect.gen(function* () {
      for (let attempt = 0; attempt < 4; attempt++) {
        const { generation, headers } = yield* authorized.headers({ method: "POST", url: new URL(url) })
        const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: tool } })
        const response = yield* Effect.promise(() =>
          dispatcher.fetch(url, { method: "POST", headers: { ...headers }, body })
        )
        yield* Effect.promise(() => response.text())
        if (response.status === 200) return "ok"
        assert.oneOf(response.status, [401, 403])
        const challenge = response.headers.get("www-authenticate") ?? undefined
        yield* authorized.refused({ status: response.status as 401 | 403, challenge, generation, nonce: undefined })
      }
      return "given up"
    })
  return { authorizers, call, config }
})

const stored = (path: string) => {
  const [name] = readdirSync(path)
  const text = readFileSync(join(path, name!), "utf8")
  return { text, value: JSON.parse(text) as { readonly tokens: { readonly accessToken: string } } }
}

describe("authorisation of a server over HTTP", { timeout: 60_000 }, () => {
  it.live("asks a person once, refreshes once for ten calls, and asks for more once", () =>
    Effect.gen(function* () {
      const server = yield* OAuthServer.make
      const path = yield* folder
      yield* Effect.gen(function* () {
        const { call } = yield* open(server.url)
        const ten = Effect.forEach(Array.from({ length: 10 }), (_, i) => call(`t${i}`), { concurrency: "unbounded" })
        assert.deepStrictEqual([...new Set(yield* ten)], ["ok"])
        assert.strictEqual(server.seen.consents, 1)
        server.revokeAccess()
        assert.deepStrictEqual([...new Set(yield* ten)], ["ok"])
        assert.deepStrictEqual(server.seen.tokenRequests, ["authorization_code", "refresh_token"])
        server.settings.toolScope = "write"
        assert.strictEqual(yield* call("more"), "ok")
        assert.strictEqual(server.seen.consents, 2)
        assert.isFalse(server.seen.reused)
      }).pipe(Effect.scoped, Effect.provide(platform(path)))
    })
  )

  it.live("is remembered by the next start, and refreshed once by two processes together", () =>
    Effect.gen(function* () {
      const server = yield* OAuthServer.make
      const path = yield* folder
      const once = Effect.flatMap(open(server.url), ({ call }) => call("t")).pipe(
        Effect.scoped,
        Effect.provide(platform(path))
      )
      assert.strictEqual(yield* once, "ok")
      server.seen.refusals = 0
      assert.strictEqual(yield* once, "ok")
      assert.strictEqual(server.seen.refusals, 0)

      const programs = yield* Effect.all([0, 1].map(() => start("authorise.mjs", { folder: path, url: server.url })))
      for (const { line } of programs) assert.strictEqual(yield* line, "ready")
      for (let round = 1; round <= 5; round++) {
        server.revokeAccess()
        yield* Effect.all(programs.map(({ tell }) => tell("refused")))
        const tokens = yield* Effect.all(programs.map(({ line }) => line))
        assert.deepStrictEqual(tokens, [tokens[0]!, tokens[0]!])
        assert.match(tokens[0]!, /^Bearer access-canary-/)
        assert.strictEqual(stored(path).value.tokens.accessToken, tokens[0]!.slice("Bearer ".length))
        assert.lengthOf(server.seen.tokenRequests, 1 + round)
      }
      assert.isFalse(server.seen.reused)
      assert.strictEqual(server.seen.consents, 1)
      for (const { output } of programs) assert.strictEqual(output.stderr, "")
    })
  )

  it.live("comes back to the port that was registered, and registers another one only when that is taken", () =>
    Effect.gen(function* () {
      const server = yield* OAuthServer.make
      const path = yield* folder
      const again = Effect.gen(function* () {
        const { call } = yield* open(server.url)
        return yield* call("t")
      }).pipe(Effect.scoped, Effect.provide(platform(path)))
      const forgetTokens = Effect.gen(function* () {
        const { authorizers, config } = yield* open(server.url)
        const [{ key } = { key: "" }] = yield* authorizers.credentials
        const store = NodeTokenStore.make({ folder: path })
        const before = yield* store.get(key)
        yield* store.set(key, { ...(before as { readonly value: object }).value, tokens: undefined })
        return config
      }).pipe(Effect.scoped, Effect.provide(platform(path)))
      assert.strictEqual(yield* again, "ok")
      yield* forgetTokens
      assert.strictEqual(yield* again, "ok")
      assert.strictEqual(server.seen.consents, 2)
      assert.strictEqual(server.seen.registrations, 1)
      const { redirectUrl } = (stored(path).value as unknown as { client: { redirectUrl: string } }).client
      yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const taken = createServer()
          taken.listen(Number(new URL(redirectUrl).port), "127.0.0.1", () => resume(Effect.succeed(taken)))
        }),
        (taken) => Effect.callback<void>((resume) => void taken.close(() => resume(Effect.void)))
      )
      yield* forgetTokens
      assert.strictEqual(yield* again, "ok")
      assert.strictEqual(server.seen.registrations, 2)
    })
  )

  it.live("forgets, and the server does as well", () =>
    Effect.gen(function* () {
      const server = yield* OAuthServer.make
      const path = yield* folder
      yield* Effect.gen(function* () {
        const { authorizers, call, config } = yield* open(server.url)
        yield* call("t")
        assert.deepStrictEqual(yield* authorizers.forget(config), { found: true, revoked: true })
        assert.lengthOf(server.seen.revoked, 1)
        assert.deepStrictEqual(readdirSync(path), [])
      }).pipe(Effect.scoped, Effect.provide(platform(path)))
    })
  )

  it.live("shows a refusal, and no secret of it anywhere but in the user's file", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make(({ cause, message }) => void logged.push(JSON.stringify([message, cause])))
      const server = yield* OAuthServer.make
      const path = yield* folder
      yield* Effect.gen(function* () {
        const { authorizers, call } = yield* open(server.url)
        yield* call("t")
        assert.include(stored(path).text, "access-canary")
        // The refresh token is replaced behind our back; what the server says then holds the old one.
        yield* Effect.promise(() =>
          fetch(`${server.login}/revoke`, {
            method: "POST",
            body: new URLSearchParams({
              token: (stored(path).value as unknown as { tokens: { refreshToken: string } }).tokens.refreshToken
            })
          }).then((response) => response.text())
        )
        server.revokeAccess()
        server.settings.deny = true
        const error = yield* Effect.flip(call("t"))
        assert.deepInclude(error.reason, { _tag: "AuthorizationFailed", code: "access_denied" })
        const shown = JSON.stringify([error, error.message, yield* authorizers.credentials, logged])
        assert.notInclude(shown, "canary")
      }).pipe(Effect.scoped, Effect.provide(platform(path)), Effect.provide(Logger.layer([logger])))
    })
  )

  it.live("leaves no listener behind when it closes while a person is away", () =>
    Effect.gen(function* () {
      const server = yield* OAuthServer.make
      const path = yield* folder
      const withoutBrowser = Layer.mergeAll(
        NodeHttpDispatcher.layer,
        NodeLoopbackListener.layer,
        NodeTokenStore.layer({ folder: path })
      )
      yield* Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { call } = yield* Scope.provide(open(server.url), scope)
        const { reason } = yield* Effect.flip(call("t"))
        assert.strictEqual(reason._tag, "AuthRequired")
        const page = reason._tag === "AuthRequired" ? new URL(reason.authorizationUrl ?? "") : undefined
        yield* Scope.close(scope, Exit.void)
        const back = page?.searchParams.get("redirect_uri") ?? ""
        const refused = yield* Effect.flip(Effect.tryPromise(() => fetch(back)))
        assert.strictEqual(refused._tag, "UnknownError")
        assert.deepStrictEqual(readdirSync(path), [])
      }).pipe(Effect.provide(withoutBrowser))
    })
  )
})
