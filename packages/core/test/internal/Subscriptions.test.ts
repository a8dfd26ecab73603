import { assert, describe, it } from "@effect/vitest"
import { McpConnection, type McpError } from "@scoped-mcp/core"
import { Effect, Exit, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "../support/platform.ts"
import * as Pool from "../support/pool.ts"
import { type Frame, type Script, ScriptedPeer, type Session } from "../support/ScriptedPeer.ts"

const open = (peer: ScriptedPeer) => McpConnection.make("memory", peer.source()).pipe(Effect.provide(Platform.none))

const reasonOf = <A>(effect: Effect.Effect<A, McpError.McpError, Scope.Scope>) =>
  Effect.map(Effect.flip(Effect.scoped(effect)), ({ reason }) => reason)

const subscriptionId = "io.modelcontextprotocol/subscriptionId"
const lists = { tools: { listChanged: true }, prompts: { listChanged: true } }
const resources = { resources: { subscribe: true } }

const modern = (script: Script = {}) => new ScriptedPeer({ modern: true, ...script })

const listens = (peer: ScriptedPeer) => peer.sent("subscriptions/listen")

const heard = (connection: McpConnection.Connection) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    yield* Effect.forkChild(
      Stream.runForEach(connection.notifications, ({ method, params }) =>
        Effect.sync(() =>
          seen.push(`${method.slice(14)}${typeof params?.["uri"] === "string" ? ` ${params["uri"]}` : ""}`)
        )
      ),
      { startImmediately: true }
    )
    yield* Effect.yieldNow
    return seen
  })

/** The server ends a subscription in good order. */
const end = (session: Session, { id }: Frame) =>
  session.raw({ jsonrpc: "2.0", id, result: { resultType: "complete", _meta: { [subscriptionId]: id } } })

describe("changes of lists", () => {
  it.effect("are listened for on one subscription for the whole life of a connection of the 2026 era", () =>
    Effect.gen(function* () {
      const peer = modern({ capabilities: lists })
      const scope = yield* Scope.make()
      const connection = yield* Scope.provide(open(peer), scope)
      const seen = yield* heard(connection)
      yield* peer.until(() => listens(peer).length === 1)
      const [{ id, params }] = listens(peer) as [Frame]
      assert.deepStrictEqual(params!["notifications"], { toolsListChanged: true, promptsListChanged: true })
      peer.last.notify("notifications/tools/list_changed", { _meta: { [subscriptionId]: id } })
      peer.last.notify("notifications/message", { level: "info", data: "hello" })
      peer.last.notify("notifications/prompts/list_changed", { _meta: { [subscriptionId]: id } })
      yield* Pool.eventually(() => seen.length === 3)
      assert.deepStrictEqual(seen, ["tools/list_changed", "message", "prompts/list_changed"])
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(listens(peer), 1)
      assert.deepInclude(yield* connection.diagnostics, { pending: 0, strays: 0 })
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.effect(
    "are listened for again when the subscription ends, later each time, and are then all taken to have happened",
    () =>
      Effect.gen(function* () {
        const peer = modern({ capabilities: lists })
        const seen = yield* heard(yield* open(peer))
        const pauses: Array<number> = []
        for (let time = 1; time <= 8; time++) {
          yield* peer.until(() => listens(peer).length === time)
          yield* Effect.yieldNow
          end(peer.last, listens(peer).at(-1)!)
          yield* Effect.yieldNow
          let waited = 0
          while (listens(peer).length === time) {
            yield* TestClock.adjust("100 millis")
            waited += 100
          }
          pauses.push(waited)
        }
        for (const [index, pause] of pauses.entries()) {
          const middle = Math.min(30_000, 500 * 2 ** index)
          assert.isAtLeast(pause, middle * 0.75)
          assert.isAtMost(pause, middle * 1.25 + 100)
        }
        yield* Pool.eventually(() => seen.length === 16)
        assert.deepStrictEqual(seen.slice(0, 2), ["tools/list_changed", "prompts/list_changed"])
      })
  )

  it.effect("are listened for again soon when the subscription had held", () =>
    Effect.gen(function* () {
      const peer = modern({ capabilities: lists })
      yield* open(peer)
      for (let time = 1; time <= 6; time++) {
        yield* peer.until(() => listens(peer).length === time)
        yield* TestClock.adjust("31 seconds")
        peer.last.notify("notifications/cancelled", { requestId: listens(peer).at(-1)!.id })
        yield* Effect.yieldNow
        yield* TestClock.adjust("700 millis")
      }
      assert.lengthOf(listens(peer), 7)
    })
  )

  it.effect("are not listened for where none are told of, or where the server will not hear of it", () =>
    Effect.gen(function* () {
      const without = modern()
      yield* open(without)
      const legacy = new ScriptedPeer({ capabilities: lists })
      yield* open(legacy)
      const refusing = modern({
        capabilities: lists,
        listen: (session, id) => {
          session.raw({ jsonrpc: "2.0", id, error: { code: -32_601, message: "Method not found" } })
          return false
        }
      })
      yield* open(refusing)
      const honouringNothing = modern({
        capabilities: lists,
        listen: (session, id) => {
          const params = { notifications: {}, _meta: { [subscriptionId]: id } }
          session.notify("notifications/subscriptions/acknowledged", params)
          end(session, { id })
          return false
        }
      })
      yield* open(honouringNothing)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(
        [without, legacy, refusing, honouringNothing].map((peer) => listens(peer).length),
        [0, 0, 1, 1]
      )
    })
  )
})

describe("a subscription of a resource", () => {
  it.effect("in the 2025 era is asked for once, however many hold it, and given up with the last of them", () =>
    Effect.gen(function* () {
      const ok = () => ({})
      const peer = new ScriptedPeer({
        capabilities: resources,
        methods: { "resources/subscribe": ok, "resources/unsubscribe": ok }
      })
      const connection = yield* open(peer)
      const seen = yield* heard(connection)
      const first = yield* Scope.make()
      const second = yield* Scope.make()
      yield* Scope.provide(connection.subscribe("a:b"), first)
      yield* Scope.provide(connection.subscribe("a:b"), second)
      assert.deepInclude(peer.sent("resources/subscribe")[0]!.params, { uri: "a:b" })
      peer.last.notify("notifications/resources/updated", { uri: "a:b" })
      yield* Pool.eventually(() => seen.length === 1)
      yield* Scope.close(first, Exit.void)
      assert.lengthOf(peer.sent("resources/unsubscribe"), 0)
      yield* Scope.close(second, Exit.void)
      assert.deepStrictEqual(
        [peer.sent("resources/subscribe").length, peer.sent("resources/unsubscribe").length],
        [1, 1]
      )
      yield* Effect.scoped(connection.subscribe("a:b"))
      assert.lengthOf(peer.sent("resources/subscribe"), 2)
    })
  )

  it.effect("holds up whoever gives it up no longer than two seconds", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ capabilities: resources, methods: { "resources/subscribe": () => ({}) } })
      const connection = yield* open(peer)
      const scope = yield* Scope.make()
      yield* Scope.provide(connection.subscribe("a:b"), scope)
      peer.answer = () => {}
      const closing = yield* Pool.start(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isDefined(closing.pollUnsafe())
    })
  )

  it.effect("is refused by a server that does not offer it, of either era", () =>
    Effect.gen(function* () {
      const legacy = yield* open(new ScriptedPeer())
      assert.deepInclude(yield* reasonOf(legacy.subscribe("a:b")), { _tag: "ProtocolError", delivery: "NotSent" })
      const peer = modern({
        listen: (session, id) => {
          const params = { notifications: {}, _meta: { [subscriptionId]: id } }
          session.notify("notifications/subscriptions/acknowledged", params)
          end(session, { id })
          return false
        }
      })
      const connection = yield* open(peer)
      assert.deepInclude(yield* reasonOf(connection.subscribe("a:b")), { _tag: "ProtocolError", delivery: "Answered" })
      yield* TestClock.adjust("5 minutes")
      assert.lengthOf(listens(peer), 1)
    })
  )

  it.effect("in the 2026 era lasts as long as its scope, is made again when it is lost, and then tells once more", () =>
    Effect.gen(function* () {
      const peer = modern({ capabilities: resources })
      const connection = yield* open(peer)
      const seen = yield* heard(connection)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* connection.subscribe("a:b")
          const [{ id, params }] = listens(peer) as [Frame]
          assert.deepStrictEqual(params!["notifications"], { resourceSubscriptions: ["a:b"] })
          peer.last.notify("notifications/resources/updated", { uri: "a:b", _meta: { [subscriptionId]: id } })
          yield* Pool.eventually(() => seen.length === 1)
          end(peer.last, { id: id! })
          yield* Effect.yieldNow
          yield* TestClock.adjust("1 second")
          yield* peer.until(() => listens(peer).length === 2)
          yield* Pool.eventually(() => seen.length === 2)
          assert.deepStrictEqual(seen, ["resources/updated a:b", "resources/updated a:b"])
        })
      )
      const [, second] = listens(peer)
      assert.deepInclude(peer.sent("notifications/cancelled").at(-1)!.params, { requestId: second!.id })
      yield* TestClock.adjust("5 minutes")
      assert.lengthOf(listens(peer), 2)
    })
  )

  it.effect("that is never acknowledged is given up after the idle limit", () =>
    Effect.gen(function* () {
      const connection = yield* open(modern({ listen: () => false }))
      const waiting = yield* Pool.start(Effect.scoped(connection.subscribe("a:b")))
      yield* TestClock.adjust("59999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const exit = waiting.pollUnsafe()
      assert.isDefined(exit)
    })
  )
})
