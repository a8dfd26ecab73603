import { request as send } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { NodeLoopbackListener } from "@scoped-mcp/node"
import { Effect, Exit, Fiber, Scope } from "effect"

const options = { port: 0, path: "/callback", state: "the-state" }

/** The status of the answer; `headers` may say another host than the address does. */
const ask = (url: URL, method = "GET", headers: Readonly<Record<string, string>> = {}) =>
  Effect.callback<number | string>((resume) => {
    const request = send(url, { method, headers, agent: false }, (response) => {
      response.resume()
      response.once("end", () => resume(Effect.succeed(response.statusCode ?? 0)))
    })
    request.once("error", (error) => resume(Effect.succeed("code" in error ? String(error.code) : error.message)))
    request.end()
  })

describe("NodeLoopbackListener", () => {
  it.live("takes the answer of the browser that was sent out, once, and refuses everything else", () =>
    Effect.gen(function* () {
      const { callback, redirectUrl } = yield* NodeLoopbackListener.make.listen(options)
      assert.strictEqual(redirectUrl.hostname, "127.0.0.1")
      const waiting = yield* Effect.forkChild(callback)
      const at = (path: string) => new URL(path, redirectUrl)
      assert.strictEqual(yield* ask(at("/callback?code=evil&state=guessed")), 400)
      assert.strictEqual(yield* ask(at("/callback?code=evil")), 400)
      assert.strictEqual(yield* ask(at("/elsewhere?code=evil&state=the-state")), 404)
      assert.strictEqual(yield* ask(at("/callback?code=evil&state=the-state"), "POST"), 405)
      assert.strictEqual(yield* ask(at("/callback?code=evil&state=the-state"), "GET", { host: "evil.example" }), 400)
      assert.isUndefined(waiting.pollUnsafe())
      assert.strictEqual(yield* ask(at("/callback?code=good&state=the-state&iss=x")), 200)
      const answer = yield* Fiber.join(waiting)
      assert.deepStrictEqual(Object.fromEntries(answer), { code: "good", state: "the-state", iss: "x" })
      assert.strictEqual(yield* ask(at("/callback?code=late&state=the-state")), 410)
    })
  )

  it.live("is gone with its scope, and with it a browser that says nothing", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { redirectUrl } = yield* Scope.provide(NodeLoopbackListener.make.listen(options), scope)
      assert.strictEqual(yield* ask(redirectUrl), 400)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* ask(redirectUrl), "ECONNREFUSED")
    })
  )

  it.live("says that a port is taken", () =>
    Effect.gen(function* () {
      const { redirectUrl } = yield* NodeLoopbackListener.make.listen(options)
      const port = Number(redirectUrl.port)
      const error = yield* Effect.flip(NodeLoopbackListener.make.listen({ ...options, port }))
      assert.deepInclude(error, { _tag: "ListenFailed", port })
      assert.include(error.message, "EADDRINUSE")
    })
  )
})
