import { assert, describe, it } from "@effect/vitest"
import { McpConnection, McpNamespaces, McpPool, Registry } from "@scoped-mcp/core"
import { Deferred, Effect, Exit, Fiber, Layer, Metric, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "./support/platform.ts"
import { eventually, failure, start } from "./support/pool.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

const echo = { server: "memory", tool: "echo" } as const
const hang = { server: "memory", tool: "hang" } as const

/** Two namespaces with a connection each, and one without a pool. */
const program = Effect.gen(function* () {
  const peer = new ScriptedPeer()
  const namespaces = yield* McpNamespaces.make({
    servers: () => ({ memory: peer.source({ closeTimeout: "5 seconds" }) })
  })
  const [acme, globex] = [yield* namespaces.pool("acme"), yield* namespaces.pool("globex")]
  yield* acme.callTool(echo)
  yield* TestClock.adjust("1 second")
  yield* globex.callTool(echo)
  yield* TestClock.adjust("1 second")
  const bare = yield* McpConnection.make("bare", peer.source())
  return { acme, bare, globex, peer, registry: yield* Registry.Registry }
})

const world = Layer.merge(Registry.layer, Platform.none)

describe("Registry", () => {
  it.effect("lists the connections of all namespaces, and those without a pool, oldest first", () =>
    Effect.gen(function* () {
      const { registry } = yield* program
      assert.deepStrictEqual(
        (yield* registry.list).map(({ namespace, openedAt, pid, server, target }) => [
          namespace,
          server,
          openedAt,
          pid,
          target
        ]),
        [
          ["acme", "memory", 0, undefined, "memory"],
          ["globex", "memory", 1_000, undefined, "memory"],
          [undefined, "bare", 2_000, undefined, "memory"]
        ]
      )
      const ids = (yield* registry.list).map(({ instanceId }) => instanceId)
      assert.lengthOf(new Set(ids), 3)
      assert.strictEqual(yield* registry.count, 3)
      const active = (yield* Metric.snapshot).flatMap((metric) =>
        metric.id === "mcp_connections_active" && metric.type === "Gauge" ? [Number(metric.state.value)] : []
      )
      assert.strictEqual(
        active.reduce((sum, count) => sum + count, 0),
        3
      )
    }).pipe(Effect.provide(world))
  )

  it.effect("closes one by its id: a pool opens another for its next call, a connection of its own has ended", () =>
    Effect.gen(function* () {
      const { acme, bare, globex, peer, registry } = yield* program
      const [ofAcme, , ofBare] = yield* registry.list
      assert.isTrue(yield* registry.close(ofAcme!.instanceId))
      assert.isFalse(yield* registry.close(ofAcme!.instanceId))
      assert.deepInclude(yield* acme.status("memory"), { status: "Idle" })
      yield* acme.callTool(echo)
      assert.isTrue(yield* registry.close(ofBare!.instanceId))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(bare.ping)))
      assert.strictEqual(yield* registry.count, 2)
      yield* globex.callTool(echo)
      assert.lengthOf(peer.sessions, 4)
    }).pipe(Effect.provide(world))
  )

  it.effect("waits for what runs, up to the limit of its server, or not at all", () =>
    Effect.gen(function* () {
      const { acme, globex, registry } = yield* program
      const [ofAcme, ofGlobex] = yield* registry.list
      const slow = yield* start(acme.callTool(hang))
      const forced = yield* start(globex.callTool(hang))
      yield* eventually(() => Effect.map(globex.stats, ({ running }) => running === 1))
      assert.isTrue(yield* registry.close(ofGlobex!.instanceId, { force: true }))
      assert.deepInclude(failure(yield* Fiber.join(forced)), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
      const closing = yield* start(registry.close(ofAcme!.instanceId))
      yield* acme.callTool(echo)
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(slow.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(closing), Exit.succeed(true))
      assert.deepInclude(failure(yield* Fiber.join(slow)), { _tag: "ConnectionLost" })
      yield* acme.callTool(echo)
    }).pipe(Effect.provide(world))
  )

  it.effect("closes all, or those that are meant, in parallel", () =>
    Effect.gen(function* () {
      const { acme, peer, registry } = yield* program
      const gate = yield* Deferred.make<void>()
      let closing = 0
      peer.script = {
        ...peer.script,
        closing: () => {
          closing++
          return Effect.runPromise(Deferred.await(gate))
        }
      }
      const meant = yield* start(registry.closeAll({ where: ({ namespace }) => namespace !== "acme" }))
      yield* eventually(() => closing === 2)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(meant), Exit.succeed({ closedCount: 2, failedCount: 0 }))
      assert.deepStrictEqual(
        (yield* registry.list).map(({ namespace }) => namespace),
        ["acme"]
      )
      yield* acme.callTool(echo)
      assert.deepStrictEqual(yield* registry.closeAll({ force: true }), { closedCount: 1, failedCount: 0 })
      assert.strictEqual(yield* registry.count, 0)
    }).pipe(Effect.provide(world))
  )

  it.effect("forgets what is lost, evicted or over, and what was never opened", () =>
    Effect.gen(function* () {
      const { acme, globex, peer, registry } = yield* program
      peer.sessions[2]!.drop()
      yield* eventually(() => Effect.map(registry.count, (count) => count === 2))
      yield* acme.evict("memory")
      yield* eventually(() => Effect.map(registry.count, (count) => count === 1))
      yield* globex.close
      assert.strictEqual(yield* registry.count, 0)
    }).pipe(Effect.provide(world))
  )

  it.effect("is not needed, and never one of another program", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const scope = yield* Scope.make()
      const inOne = yield* Scope.provide(Effect.provide(program, world), scope)
      const pool = yield* McpPool.make({ servers: { memory: peer.source() } })
      yield* pool.callTool(echo)
      assert.strictEqual(yield* inOne.registry.count, 3)
      assert.isTrue(Option.isNone(yield* Effect.serviceOption(Registry.Registry)))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* inOne.registry.count, 0)
    }).pipe(Effect.provide(Platform.none))
  )
})
