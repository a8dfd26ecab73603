import { assert, describe, it } from "@effect/vitest"
import { McpError } from "@scoped-mcp/core"
import { Deferred, Effect, Exit, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import * as CallEngine from "../../src/CallEngine.ts"
import * as DeadlineWheel from "../../src/internal/DeadlineWheel.ts"
import type { HttpAuth, Refusal } from "../../src/internal/HttpAuth.ts"
import * as HttpWire from "../../src/internal/HttpWire.ts"
import { config } from "../support/http.ts"
import * as Platform from "../support/platform.ts"

/** Credentials that are renewed by each refusal, if there are others. */
class Credentials implements HttpAuth {
  generation = 0
  readonly asked: Array<string> = []
  readonly refusals: Array<Refusal> = []
  renew: Effect.Effect<void, McpError.McpError> = Effect.void

  readonly headers: HttpAuth["headers"] = ({ method, url }) =>
    Effect.sync(() => {
      this.asked.push(`${method} ${url.pathname}`)
      return { headers: { authorization: `Bearer generation-${this.generation}` }, generation: this.generation }
    })

  readonly refused: HttpAuth["refused"] = (refusal) => {
    this.refusals.push(refusal)
    return Effect.tap(this.renew, () =>
      Effect.sync(() => {
        this.generation++
      })
    )
  }
}

const withAuth = <A, E>(
  body: (line: {
    readonly engine: CallEngine.CallEngine
    readonly wire: Effect.Success<ReturnType<typeof HttpWire.make>>
    readonly http: Platform.FakeHttp
    readonly auth: Credentials
  }) => Effect.Effect<A, E>
) => {
  const http = new Platform.FakeHttp()
  const auth = new Credentials()
  return Effect.gen(function* () {
    const wheel = yield* DeadlineWheel.make
    const wire = yield* HttpWire.make("web", config(), wheel, auth)
    const engine = CallEngine.make(
      "web",
      wire,
      wheel,
      config().limits,
      (text) => text,
      () => {}
    )
    return yield* body({ engine, wire, http, auth })
  }).pipe(Effect.provide(http.layer), Effect.scoped)
}

const request = (engine: CallEngine.CallEngine) =>
  Effect.forkDetach(Effect.exit(engine.request("tools/call", { name: "t" })), { startImmediately: true })

const failure = (fiber: Fiber.Fiber<Exit.Exit<unknown, McpError.McpError>>) =>
  Effect.map(Fiber.join(fiber), (exit) => Option.getOrThrow(Exit.findErrorOption(exit)).reason)

const challenge = { "www-authenticate": 'Bearer error="insufficient_scope", scope="files"' }

describe("requests that need credentials", () => {
  it.effect("carry them, and go out again with others after 401, and after 403 for want of scope", () =>
    withAuth(({ auth, engine, http }) =>
      Effect.gen(function* () {
        const running = yield* request(engine)
        http.last("t").respond(401, { "www-authenticate": "DPoP", "dpop-nonce": "n-1" })
        http.last("t").respond(403, challenge)
        http.last("t").respond(200, Platform.json, Platform.result(http.last("t"), Platform.hello))
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(running)))
        assert.deepStrictEqual(
          http.posts.map(({ request }) => request.headers["authorization"]),
          ["Bearer generation-0", "Bearer generation-1", "Bearer generation-2"]
        )
        assert.deepStrictEqual(auth.refusals, [
          { status: 401, challenge: "DPoP", generation: 0, nonce: "n-1" },
          { status: 403, challenge: challenge["www-authenticate"], generation: 1, nonce: undefined }
        ])
        assert.deepStrictEqual(auth.asked, ["POST /mcp", "POST /mcp", "POST /mcp"])
        assert.isTrue(http.posts[0]!.aborted)
      })
    )
  )

  it.effect("are refused for good after three renewals, and at once with 403 for another reason", () =>
    withAuth(({ auth, engine, http }) =>
      Effect.gen(function* () {
        http.onPosted = (post) => post.respond(401)
        assert.deepInclude(yield* failure(yield* request(engine)), { _tag: "AuthRequired", delivery: "NotSent" })
        assert.lengthOf(http.posts, 4)
        assert.lengthOf(auth.refusals, 3)
        http.onPosted = (post) => post.respond(403)
        assert.deepInclude(yield* failure(yield* request(engine)), { _tag: "AuthRequired", delivery: "Answered" })
        assert.lengthOf(auth.refusals, 3)
      })
    )
  )

  it.effect("fail with what their credentials fail with", () =>
    withAuth(({ auth, engine, http }) =>
      Effect.gen(function* () {
        const reason = new McpError.AuthRequired({ server: "web", status: 401, challenge: "log in at the door" })
        auth.renew = Effect.fail(new McpError.McpError({ reason }))
        const running = yield* request(engine)
        http.last("t").respond(401)
        assert.strictEqual(yield* failure(running), reason)
      })
    )
  )

  it.effect("are not sent again when their caller has gone meanwhile, by its own will or its deadline", () =>
    withAuth(({ auth, engine, http }) =>
      Effect.gen(function* () {
        const renewed = yield* Deferred.make<void>()
        auth.renew = Deferred.await(renewed)
        const interrupted = yield* request(engine)
        http.last("t").respond(401)
        const timedOut = yield* request(engine)
        http.last("t").respond(401)
        yield* Fiber.interrupt(interrupted)
        yield* TestClock.adjust("60 seconds")
        // The server has looked at none of them.
        assert.deepInclude(yield* failure(timedOut), { _tag: "CallTimeout", delivery: "NotSent" })
        yield* Deferred.succeed(renewed, undefined)
        yield* TestClock.adjust("1 seconds")
        assert.lengthOf(http.posts, 2)
      })
    )
  )

  it.effect("of the handshake are refused as the SDK expects it, and say by what", () =>
    withAuth(({ auth, http, wire }) =>
      Effect.gen(function* () {
        const reason = new McpError.AuthRequired({ server: "web", status: 401, challenge: undefined })
        auth.renew = Effect.fail(new McpError.McpError({ reason }))
        http.onOther = (post) => {
          post.respond(401)
          return true
        }
        const face = wire.transport()
        const error = yield* Effect.flip(
          Effect.tryPromise(() => face.send({ jsonrpc: "2.0", id: 0, method: "prompts/list" }))
        )
        assert.deepInclude(error.cause, { name: "UnauthorizedError" })
        assert.strictEqual(((error.cause as Error).cause as McpError.McpError).reason, reason)
      })
    )
  )

  it.effect("are those of the server's stream and of the end of the session as well", () =>
    Effect.gen(function* () {
      const { auth, http } = yield* withAuth(({ auth, http, wire }) =>
        Effect.gen(function* () {
          http.onDelete = (end) => end.respond(http.deletes.length === 1 ? 401 : 200)
          http.onGet = (get) => (http.gets.length === 1 ? get.respond(401) : get.respond(200, Platform.sse))
          const face = wire.transport()
          const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "c", version: "1" } }
          yield* Effect.promise(() => face.send({ jsonrpc: "2.0", id: 0, method: "initialize", params }))
          yield* Effect.promise(() => face.send({ jsonrpc: "2.0", method: "notifications/initialized" }))
          yield* TestClock.adjust(0)
          assert.strictEqual(wire.diagnostics().stream?.state, "Open")
          return { auth, http }
        })
      )
      assert.strictEqual(http.gets[1]!.request.headers["authorization"], "Bearer generation-1")
      assert.strictEqual(http.deletes[0]!.request.headers["authorization"], "Bearer generation-1")
      const asked = ["POST /mcp", "POST /mcp", "GET /mcp", "GET /mcp", "DELETE /mcp", "DELETE /mcp"]
      assert.deepStrictEqual(auth.asked, asked)
      // No person is asked because a session ends.
      assert.deepStrictEqual(
        auth.refusals.map(({ unattended }) => unattended),
        [undefined, true]
      )
    })
  )
})
