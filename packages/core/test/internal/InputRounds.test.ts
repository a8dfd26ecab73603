import { assert, describe, it } from "@effect/vitest"
import { HostHandlers, type Limits, McpConnection, type McpError, McpPool, ServerConfig } from "@scoped-mcp/core"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "../support/platform.ts"
import * as Pool from "../support/pool.ts"
import { ScriptedPeer, type Tool } from "../support/ScriptedPeer.ts"

const question = {
  method: "elicitation/create",
  params: { message: "which?", requestedSchema: { type: "object", properties: { city: { type: "string" } } } }
}

const ask = (inputRequests: unknown, requestState?: unknown) => ({
  resultType: "input_required",
  inputRequests,
  ...(requestState === undefined ? {} : { requestState })
})

const answering = (content: Readonly<Record<string, string>>) =>
  Layer.succeed(HostHandlers.Elicitation, { form: () => Effect.succeed({ action: "accept", content }) })

const open = <R>(tool: Tool, host: Layer.Layer<R>, limits: Limits.ServerLimits = {}) => {
  const peer = new ScriptedPeer({ modern: true, tools: { tool } })
  return Effect.map(
    McpConnection.make("memory", peer.source(limits)).pipe(Effect.provide(Layer.merge(Platform.none, host))),
    (connection) => ({ peer, connection })
  )
}

const reasonOf = <A>(effect: Effect.Effect<A, McpError.McpError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** Asks until it has been asked as often. */
const asksTimes = (times: number, result: unknown): Tool => {
  let asked = 0
  return (call) => (asked++ < times ? call.reply(result) : call.text(`asked ${asked} times`))
}

describe("a server that asks before it answers", () => {
  it.effect("is given what it asks for with the same request under another id, and its own state as it came", () =>
    Effect.gen(function* () {
      const state = 'opaque "\\u00fc" state'
      const { connection, peer } = yield* open(
        asksTimes(1, ask({ where: question, roots: { method: "roots/list" } }, state)),
        Layer.merge(
          answering({ city: "Ulm" }),
          Layer.succeed(HostHandlers.Roots, { list: () => Effect.succeed([{ uri: "file:///srv" }]) })
        )
      )
      const result = yield* connection.callTool({ tool: "tool", arguments: { a: 1 } })
      assert.strictEqual(result.text, "asked 2 times")
      const [first, second] = peer.sent("tools/call")
      assert.notStrictEqual(first!.id, second!.id)
      assert.isUndefined(first!.params!["inputResponses"])
      assert.deepInclude(second!.params, {
        name: "tool",
        arguments: { a: 1 },
        requestState: state,
        inputResponses: {
          where: { action: "accept", content: { city: "Ulm" } },
          roots: { roots: [{ uri: "file:///srv" }] }
        }
      })
    })
  )

  it.effect("may ask ten times, and not an eleventh", () =>
    Effect.gen(function* () {
      const ten = yield* open(asksTimes(10, ask({ q: question })), answering({}))
      assert.strictEqual((yield* ten.connection.callTool({ tool: "tool" })).text, "asked 11 times")
      const eleven = yield* open(asksTimes(11, ask({ q: question })), answering({}))
      const reason = yield* reasonOf(eleven.connection.callTool({ tool: "tool" }))
      assert.deepInclude(reason, { _tag: "InputRequired", delivery: "Answered" })
      assert.include(reason.message, "after 10 rounds")
      assert.strictEqual(eleven.peer.ran("tool"), 11)
    })
  )

  it.effect("with nothing but its state is asked again after a pause", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* open(asksTimes(2, ask(undefined, "later")), Layer.empty)
      const call = yield* Pool.start(connection.callTool({ tool: "tool" }))
      for (const runs of [1, 2]) {
        yield* Pool.eventually(() => peer.ran("tool") === runs)
        yield* TestClock.adjust("249 millis")
        assert.strictEqual(peer.ran("tool"), runs)
        yield* TestClock.adjust("1 millis")
      }
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(call)))
      assert.strictEqual(peer.ran("tool"), 3)
    })
  )

  it.effect("has the limit of one call for all rounds, the host's own time included", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      let interrupted = false
      const slow = Layer.succeed(HostHandlers.Elicitation, {
        form: () =>
          Effect.andThen(Deferred.succeed(asked, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Effect.sync(() => void (interrupted = true)))
          )
      })
      const { connection, peer } = yield* open(
        (call) => (peer.ran("tool") === 1 ? call.reply(ask({}, "s")) : call.reply(ask({ q: question }))),
        slow,
        { callTimeout: "30 seconds" }
      )
      const call = yield* Pool.start(connection.callTool({ tool: "tool" }))
      yield* Pool.eventually(() => peer.ran("tool") === 1)
      yield* TestClock.adjust("250 millis")
      yield* Deferred.await(asked)
      yield* TestClock.adjust("29749 millis")
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(Pool.failure(yield* Fiber.join(call)), { _tag: "CallTimeout", phase: "Total" })
      assert.isTrue(interrupted)
    })
  )

  it.effect("does not keep the host busy for a caller who is gone, or a connection that has ended", () =>
    Effect.gen(function* () {
      let begun = 0
      let interrupted = 0
      const slow = Layer.succeed(HostHandlers.Elicitation, {
        form: () =>
          Effect.suspend(() => {
            begun++
            return Effect.never
          }).pipe(Effect.onInterrupt(() => Effect.sync(() => void interrupted++)))
      })
      const { connection, peer } = yield* open((call) => call.reply(ask({ q: question })), slow)
      const first = yield* Effect.forkChild(Effect.exit(connection.callTool({ tool: "tool" })))
      yield* Pool.eventually(() => begun === 1)
      yield* Fiber.interrupt(first)
      assert.strictEqual(interrupted, 1)
      assert.isTrue(Cause.hasInterruptsOnly(Option.getOrThrow(Exit.getCause(yield* Fiber.await(first)))))
      const second = yield* Pool.start(connection.callTool({ tool: "tool" }))
      yield* Pool.eventually(() => begun === 2)
      peer.last.drop()
      assert.deepInclude(Pool.failure(yield* Fiber.join(second)), { _tag: "ConnectionLost" })
      assert.strictEqual(interrupted, 2)
    })
  )

  it.effect("is not given what the host does not offer, refuses, or fails over", () =>
    Effect.gen(function* () {
      const secret = "db password"
      const hosts = [
        [Layer.empty, "this host does not answer elicitation/create"],
        [
          Layer.succeed(HostHandlers.Elicitation, { form: () => new HostHandlers.Refused({ text: "not today" }) }),
          "not today"
        ],
        [
          Layer.succeed(HostHandlers.Elicitation, { form: () => Effect.die(new Error(secret)) }),
          "the host could not answer"
        ]
      ] as const
      for (const [host, detail] of hosts) {
        const { connection } = yield* open((call) => call.reply(ask({ q: question })), host)
        const reason = yield* reasonOf(connection.callTool({ tool: "tool" }))
        assert.deepInclude(reason, { _tag: "InputRequired", delivery: "Answered" })
        assert.include(reason.message, detail)
        assert.notInclude(reason.message, secret)
      }
    })
  )

  it.effect.each([
    [ask({}), "for nothing"],
    [ask({ q: "what?" }), "of no known shape"]
  ] as const)("has to ask for something that is known: %j", ([result, detail]) =>
    Effect.gen(function* () {
      const { connection } = yield* open((call) => call.reply(result), answering({}))
      const reason = yield* reasonOf(connection.callTool({ tool: "tool" }))
      assert.strictEqual(reason._tag, "InvalidResult")
      assert.include(reason.message, detail)
    })
  )

  it.effect("may do so for tools, prompts and resources, and for nothing else", () =>
    Effect.gen(function* () {
      const once = () => {
        let asked = false
        return (answer: unknown) => () => {
          const first = !asked
          asked = true
          return first ? ask({ q: question }) : answer
        }
      }
      const peer = new ScriptedPeer({
        modern: true,
        methods: {
          "resources/read": once()({ contents: [] }),
          "prompts/get": once()({ messages: [] }),
          "completion/complete": once()({ completion: { values: [] } })
        }
      })
      const connection = yield* McpConnection.make("memory", peer.source()).pipe(
        Effect.provide(Layer.merge(Platform.none, answering({})))
      )
      yield* connection.readResource({ uri: "a:b" })
      yield* connection.getPrompt({ prompt: "p" })
      const argument = { name: "a", value: "b" }
      const reason = yield* reasonOf(connection.complete({ ref: { prompt: "p" }, argument }))
      assert.deepInclude(reason, { _tag: "InvalidResult", detail: "it asks for input, which it may not" })
    })
  )
})

describe("a later round that cannot be sent", () => {
  it.effect("is no reason to begin the call anew: the server has read the first, and a person has been asked", () => {
    const http = new Platform.FakeHttp()
    let asked = 0
    const host = Layer.succeed(HostHandlers.Elicitation, {
      form: () => Effect.sync(() => (asked++, { action: "accept" as const, content: { city: "Ulm" } }))
    })
    const calls = () => http.posts.filter(({ frame }) => frame["method"] === "tools/call")
    http.onPosted = (post) => {
      if (post.frame["method"] === "server/discover") {
        const discovered = { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} } }
        return post.respond(200, Platform.json, Platform.result(post, discovered))
      }
      if (calls().length % 2 === 1) return post.respond(200, Platform.json, Platform.result(post, ask({ q: question })))
      return post.listener.onFailure({ delivery: "NotSent", detail: "connection refused" })
    }
    return Effect.gen(function* () {
      const web = ServerConfig.http({ url: "https://example.com/mcp", era: "modern" })
      const pool = yield* McpPool.make({ servers: { web } })
      const reason = yield* reasonOf(pool.callTool({ server: "web", tool: "pay" }))
      assert.deepInclude(reason, { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
      assert.lengthOf(calls(), 2)
      assert.strictEqual(asked, 1)
    }).pipe(Effect.provide(Layer.merge(http.layer, host)))
  })
})
