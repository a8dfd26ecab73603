import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { McpConnection, type McpError, ServerSource } from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Latch, Layer, Logger, Scope } from "effect"
import * as Platform from "./support/platform.ts"
import { assertLegal, changes, eventually, failure, make, reasonOf, recorded, start } from "./support/pool.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

const three = () => {
  const peers = { a: new ScriptedPeer(), b: new ScriptedPeer(), c: new ScriptedPeer() }
  return { peers, servers: { a: peers.a.source(), b: peers.b.source(), c: peers.c.source() } }
}

const open = (peers: Readonly<Record<string, ScriptedPeer>>) =>
  Object.values(peers).reduce((total, peer) => total + peer.open.length, 0)

describe("close all connections", () => {
  it.effect("clears everything", () =>
    Effect.gen(function* () {
      const { peers, servers } = three()
      const pool = yield* make(servers)
      const events = yield* recorded(pool)
      yield* pool.warmup()
      assert.strictEqual(open(peers), 3)
      yield* pool.close
      assert.strictEqual(open(peers), 0)
      const stats = yield* pool.stats
      assert.deepInclude(stats, { initialised: false, running: 0, waiting: 0 })
      assert.deepStrictEqual([stats.registeredServers, stats.activeServers, yield* pool.statuses], [[], [], []])
      assertLegal(events)
      assert.deepInclude(events.at(-1)!, { _tag: "PoolEnded", state: "Closed", closedCount: 3, failedCount: 0 })
      assert.deepStrictEqual(changes(events, "a"), ["Connecting", "Ready", "Closing", "Closed"])
    })
  )

  it.effect("handles errors", () =>
    Effect.gen(function* () {
      const { peers, servers } = three()
      peers.b.script = { ...peers.b.script, closing: () => Promise.reject(new Error("will not close")) }
      const bad = ServerSource.fromLayer(
        "bad",
        Layer.effect(
          McpConnection.McpConnection,
          Effect.andThen(
            Effect.addFinalizer(() => Effect.die("a broken finalizer")),
            McpConnection.make("bad", new ScriptedPeer().source())
          )
        ).pipe(Layer.provide(Platform.none))
      )
      const pool = yield* make({ ...servers, bad })
      const events = yield* recorded(pool)
      yield* pool.warmup()
      yield* pool.close
      assert.deepStrictEqual([peers.a.open.length, peers.c.open.length], [0, 0])
      assert.deepInclude(events.at(-1)!, { _tag: "PoolEnded", closedCount: 2, failedCount: 2 })
      assertLegal(events)
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect("concurrent safe", () =>
    Effect.gen(function* () {
      const { peers, servers } = three()
      const pool = yield* make(servers)
      const events = yield* recorded(pool)
      yield* pool.warmup()
      const calls = yield* Effect.forEach(["a", "b", "c"], (server) => start(pool.callTool({ server, tool: "hang" })))
      yield* peers.c.until(() => peers.c.ran("hang") === 1)
      yield* Effect.all([pool.close, pool.close, pool.stop, pool.close], { concurrency: "unbounded" })
      yield* pool.close
      for (const call of calls) {
        assert.deepInclude(failure(yield* Fiber.join(call)), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
      }
      assert.strictEqual(open(peers), 0)
      assert.lengthOf(
        events.filter(({ _tag }) => _tag === "PoolEnded"),
        1
      )
      assertLegal(events)
    })
  )
})

describe("a server that was removed", () => {
  it.effect("ends with the pool, though a call still runs on it", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ a: peer.source() })
      const call = yield* start(pool.callTool({ server: "a", tool: "hang" }))
      yield* peer.until(() => peer.ran("hang") === 1)
      yield* pool.remove("a")
      yield* pool.close
      assert.lengthOf(peer.open, 0)
      assert.strictEqual(failure(yield* Fiber.join(call))._tag, "ConnectionLost")
    })
  )
})

describe("a second close", () => {
  it.effect("is over only when the first is", () =>
    Effect.gen(function* () {
      const closed = Promise.withResolvers<void>()
      const peer = new ScriptedPeer({ closing: () => closed.promise })
      const pool = yield* make({ a: peer.source() })
      yield* pool.warmup()
      const both = [yield* start(pool.close), yield* start(pool.close)]
      for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow
      assert.isTrue(both.every((fiber) => fiber.pollUnsafe() === undefined))
      closed.resolve()
      for (const fiber of both) yield* Fiber.join(fiber)
      assert.lengthOf(peer.open, 0)
    })
  )
})

describe("after close", () => {
  it.effect("every use is refused with PoolClosed", () =>
    Effect.gen(function* () {
      const { peers, servers } = three()
      const pool = yield* make(servers)
      yield* pool.close
      const uses: ReadonlyArray<Effect.Effect<unknown, McpError.McpError>> = [
        pool.callTool({ server: "a", tool: "echo" }),
        pool.use("a", () => Effect.void),
        Effect.scoped(pool.get("a")),
        pool.catalogOf("a"),
        pool.status("a"),
        pool.register("d", peers.a.source()),
        pool.replace("a", peers.a.source()),
        pool.reload({}),
        pool.reconnect("a"),
        pool.start
      ]
      for (const use of uses) {
        assert.deepInclude(yield* reasonOf(use), { _tag: "PoolClosed", state: "Closed", delivery: "NotSent" })
      }
      assert.deepStrictEqual(yield* pool.warmup(), {})
      assert.lengthOf(peers.a.sessions, 0)
    })
  )

  it.effect("nothing is left of the pool's scope either", () =>
    Effect.gen(function* () {
      const { peers, servers } = three()
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(make(servers), scope)
      yield* pool.warmup()
      const call = yield* start(pool.callTool({ server: "a", tool: "hang" }))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(failure(yield* Fiber.join(call))._tag, "ConnectionLost")
      assert.strictEqual(open(peers), 0)
    })
  )

  it.effect("the pool can be collected while others live", () =>
    Effect.gen(function* () {
      setFlagsFromString("--expose-gc")
      const gc = runInNewContext("gc") as () => void
      const used = yield* Effect.scoped(
        Effect.gen(function* () {
          const peer = new ScriptedPeer()
          const pool = yield* make({ a: peer.source() })
          yield* pool.callTool({ server: "a", tool: "echo" })
          return new WeakRef(pool)
        })
      )
      yield* eventually(() => {
        gc()
        return used.deref() === undefined
      }, 50)
    })
  )
})

describe("a connect that races with close", () => {
  it.effect.each([0, 1, 2, 3, 5, 8, 13, 21, 34])("never survives it, %d turns apart", (turns) =>
    Effect.gen(function* () {
      const { peers, servers } = three()
      const pool = yield* make(servers)
      const events = yield* recorded(pool)
      const calls = yield* Effect.forEach(["a", "b", "c", "a"], (server) =>
        start(pool.callTool({ server, tool: "echo" }))
      )
      for (let turn = 0; turn < turns; turn++) yield* Effect.promise(() => Promise.resolve())
      yield* pool.close
      for (const call of calls) yield* Fiber.await(call)
      assert.strictEqual(open(peers), 0)
      for (const peer of Object.values(peers)) assert.isTrue(peer.sessions.every(({ state }) => state === "Closed"))
      assertLegal(events)
    })
  )

  it.effect("does not hold it up when the handshake is never answered", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ handshake: () => "ignore" })
      const pool = yield* make({ a: peer.source() })
      const call = yield* start(pool.callTool({ server: "a", tool: "echo" }))
      yield* peer.until(() => peer.handshakes === 1)
      yield* pool.close
      assert.strictEqual(failure(yield* Fiber.join(call))._tag, "PoolClosed")
      assert.strictEqual(peer.last.state, "Closed")
    })
  )
})

describe("stop", () => {
  it.effect("keeps the registrations, refuses calls, and start makes the pool usable again", () =>
    Effect.gen(function* () {
      const { peers, servers } = three()
      const pool = yield* make(servers)
      const events = yield* recorded(pool)
      yield* pool.callTool({ server: "a", tool: "echo" })
      yield* pool.stop
      yield* pool.stop
      assert.strictEqual(open(peers), 0)
      assert.deepInclude(yield* reasonOf(pool.callTool({ server: "a", tool: "echo" })), {
        _tag: "PoolClosed",
        state: "Stopped"
      })
      assert.lengthOf((yield* pool.stats).registeredServers, 3)
      yield* pool.register("d", peers.a.source())
      assert.strictEqual((yield* reasonOf(pool.callTool({ server: "d", tool: "echo" })))._tag, "PoolClosed")
      yield* pool.start
      for (const server of ["a", "d"]) yield* pool.callTool({ server, tool: "echo" })
      assert.strictEqual(peers.a.handshakes, 3)
      assertLegal(events)
    })
  )

  it.effect("refuses a call that waits for a place which another scope holds", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const peer = new ScriptedPeer()
      const pool = yield* Scope.provide(make({ a: peer.source({ maxConcurrency: 1 }) }), scope)
      yield* pool.get("a")
      const waiting = yield* start(pool.callTool({ server: "a", tool: "echo" }))
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(failure(yield* Fiber.join(waiting))._tag, "PoolClosed")
    })
  )

  it.effect("tells thousands of waiting calls one after the other, and loses no place", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const limits = { maxConcurrency: 1, maxWaiting: 10_000 }
      const pool = yield* make({ a: peer.source(limits) }, { maxWaiting: 10_000 })
      yield* start(pool.callTool({ server: "a", tool: "hang" }))
      yield* peer.until(() => peer.ran("hang") === 1)
      const calls = yield* Effect.forEach(Array.from({ length: 3_000 }), () =>
        start(pool.callTool({ server: "a", tool: "echo" }))
      )
      yield* pool.stop
      for (const call of calls) assert.strictEqual(failure(yield* Fiber.join(call))._tag, "PoolClosed")
      assert.deepInclude(yield* pool.stats, { running: 0, waiting: 0 })
      yield* pool.start
      yield* pool.callTool({ server: "a", tool: "echo" })
    })
  )
})

describe("a layer of the user's that never ends", () => {
  /** Its release hangs until it is let go, after a connection that works or a build that fails. */
  const hanging = (build: "works" | "fails", letGo: Latch.Latch) =>
    ServerSource.fromLayer(
      "hanging",
      Layer.effect(
        McpConnection.McpConnection,
        Effect.andThen(
          Effect.addFinalizer(() => letGo.await),
          build === "works" ? McpConnection.make("inner", new ScriptedPeer().source()) : Effect.die("it does not work")
        )
      ).pipe(Layer.provide(Platform.none)),
      { connectTimeout: "50 millis" }
    )

  it.live.each(["works", "fails"] as const)(
    "holds up neither stop, start nor close beyond closeTimeout: it %s",
    (build) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const peer = new ScriptedPeer()
        const letGo = yield* Latch.make()
        const pool = yield* make(
          { hanging: hanging(build, letGo), a: peer.source() },
          { closeTimeout: "50 millis" }
        ).pipe(Scope.provide(scope))
        yield* pool.warmup()
        assert.lengthOf(peer.open, 1)
        yield* pool.stop
        assert.lengthOf(peer.open, 0)
        yield* pool.start
        yield* pool.callTool({ server: "a", tool: "echo" })
        yield* Scope.close(scope, Exit.void)
        assert.lengthOf(peer.open, 0)
        yield* letGo.open
      }).pipe(Effect.provide(Logger.layer([])), Effect.timeout("5 seconds"))
  )
})
