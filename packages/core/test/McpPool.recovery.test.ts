import { assert, describe, it } from "@effect/vitest"
import { type Limits, type McpPool, ServerSource, type ServerStatus } from "@scoped-mcp/core"
import { Clock, Effect, Exit, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import { assertLegal, changes, eventually, make, reasonOf, recorded, start } from "./support/pool.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

const server = "memory"
const echo = { server, tool: "echo" } as const

const statusIs = (pool: McpPool.McpPoolService, status: ServerStatus.ServerStatus) =>
  eventually(() => Effect.map(Effect.orDie(pool.status(server)), (report) => report.status === status))

/** A server that is up or down as the test says, and the times at which it was started. */
const outages = (limits: Limits.ServerLimits = {}) => {
  const peer = new ScriptedPeer()
  const starts: Array<number> = []
  const state = { down: false }
  const source = peer.source(limits)
  const make = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    starts.push(now)
    return state.down ? Effect.fail(new Error("connection refused")) : source.make
  })
  return {
    peer,
    starts,
    source: ServerSource.fromTransport("outages", make, limits),
    down: () => {
      state.down = true
      for (const session of peer.open) session.drop()
    },
    up: () => {
      state.down = false
    }
  }
}

describe("the circuit", () => {
  it.effect("opens after three failures in ten seconds, and calls fail at once without an attempt", () =>
    Effect.gen(function* () {
      const it = outages()
      it.down()
      const pool = yield* make({ memory: it.source })
      const events = yield* recorded(pool)
      for (let attempt = 1; attempt <= 3; attempt++) {
        assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "ConnectFailed", attempt })
      }
      yield* TestClock.adjust("4 seconds")
      const refused = yield* reasonOf(pool.callTool(echo))
      assert.deepInclude(refused, { _tag: "CircuitOpen", delivery: "NotSent" })
      assert.include(refused.message, "is tried again in 6 s. Last failure: Could not connect")
      assert.include(refused.message, "connection refused")
      assert.deepInclude(yield* pool.status(server), { status: "CircuitOpen", classic: "error" })
      assert.deepStrictEqual(it.starts, [0, 0, 0])
      assertLegal(events)
    })
  )

  it.effect("lets one attempt decide, however many wait for it", () =>
    Effect.gen(function* () {
      const it = outages()
      it.down()
      // An hour without anyone who needs it: the next call is the one that tries.
      const pool = yield* make({ memory: it.source }, { acquireTimeout: "5 minutes" })
      for (let attempt = 1; attempt <= 3; attempt++) yield* reasonOf(pool.callTool(echo))
      yield* TestClock.adjust("1 hour")
      yield* statusIs(pool, "Recovering")
      const before = it.starts.length
      it.up()
      const calls = yield* Effect.forEach(Array.from({ length: 20 }), () => start(pool.callTool(echo)))
      for (const call of calls) assert.isTrue(Exit.isSuccess(yield* Fiber.join(call)))
      assert.lengthOf(it.starts, before + 1)
      assert.strictEqual(it.peer.handshakes, 1)
    })
  )

  it.effect("counts a server that hangs in every handshake, however long that takes", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ handshake: () => "ignore" })
      const pool = yield* make({ memory: peer.source({ connectTimeout: "20 seconds" }) })
      for (let attempt = 1; attempt <= 3; attempt++) {
        const call = yield* start(pool.callTool(echo))
        yield* TestClock.adjust("20 seconds")
        assert.isTrue(Exit.isFailure(yield* Fiber.join(call)))
      }
      assert.strictEqual((yield* reasonOf(pool.callTool(echo)))._tag, "CircuitOpen")
    })
  )

  it.effect("is not closed by a server that connects and exits, but by a minute of health", () =>
    Effect.gen(function* () {
      const it = outages({ keepAlive: true })
      const pool = yield* make({ memory: it.source })
      yield* pool.callTool(echo)
      const pauses: Array<number> = []
      for (let loss = 1; loss <= 12; loss++) {
        yield* statusIs(pool, "Ready")
        const tried = it.starts.length
        const lostAt = yield* Clock.currentTimeMillis
        it.peer.last.drop()
        yield* eventually(() => it.peer.open.length === 0)
        while (it.starts.length === tried) {
          yield* TestClock.adjust("1 second")
          for (let turn = 0; turn < 5; turn++) yield* Effect.yieldNow
        }
        pauses.push(it.starts.at(-1)! - lostAt)
      }
      // At once at first, and then after pauses that have grown to their ceiling, less up to a fifth.
      assert.isAtMost(pauses[0]!, 1_000)
      for (const pause of pauses.slice(-4)) assert.isAtLeast(pause, 47_000)
      yield* statusIs(pool, "Ready")
      yield* TestClock.adjust("1 minute")
      it.peer.last.drop()
      // Forgotten: opened again at once.
      yield* statusIs(pool, "Ready")
    })
  )

  it.effect("does not hold up an operator who wants the server opened now", () =>
    Effect.gen(function* () {
      const it = outages()
      it.down()
      const pool = yield* make({ memory: it.source })
      for (let attempt = 1; attempt <= 3; attempt++) yield* reasonOf(pool.callTool(echo))
      assert.strictEqual((yield* reasonOf(pool.callTool(echo)))._tag, "CircuitOpen")
      it.up()
      yield* pool.reconnect(server)
      yield* pool.callTool(echo)
    })
  )

  it.effect("has the limits it is given", () =>
    Effect.gen(function* () {
      const it = outages({ restart: { intensity: 1, backoff: "5 seconds", period: "1 second" } })
      it.down()
      const pool = yield* make({ memory: it.source })
      yield* reasonOf(pool.callTool(echo))
      assert.strictEqual((yield* reasonOf(pool.callTool(echo)))._tag, "CircuitOpen")
      it.up()
      yield* TestClock.adjust("5 seconds")
      yield* statusIs(pool, "Ready")
    })
  )
})

describe("by itself", () => {
  it.effect("a server is opened again that was lost under a call", () =>
    Effect.gen(function* () {
      const it = outages()
      const pool = yield* make({ memory: it.source })
      yield* reasonOf(pool.callTool({ server, tool: "die" }))
      yield* statusIs(pool, "Ready")
      assert.deepStrictEqual([it.starts.length, it.peer.open.length], [2, 1])
    })
  )

  it.effect.each(["keepAlive", "warmed"])("a server is opened again that is to stay open: %s", (how) =>
    Effect.gen(function* () {
      const it = outages({ keepAlive: how === "keepAlive" })
      const pool = yield* make({ memory: it.source })
      if (how === "warmed") yield* pool.warmup()
      else yield* pool.callTool(echo)
      it.down()
      yield* eventually(() => it.starts.length === 2)
      yield* TestClock.adjust("1 hour")
      assert.isAbove(it.starts.length, 60)
      it.up()
      yield* TestClock.adjust("1 minute")
      yield* statusIs(pool, "Ready")
    })
  )

  it.effect("a server that nobody uses is left alone until the next call", () =>
    Effect.gen(function* () {
      const it = outages()
      const pool = yield* make({ memory: it.source })
      yield* pool.callTool(echo)
      it.down()
      yield* statusIs(pool, "Recovering")
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(it.starts, 1)
      it.up()
      yield* pool.callTool(echo)
      assert.lengthOf(it.starts, 2)
    })
  )

  it.effect("a server is left alone when nobody has needed it for its idle time", () =>
    Effect.gen(function* () {
      const it = outages({ idleTimeToLive: "5 minutes" })
      it.down()
      const pool = yield* make({ memory: it.source })
      yield* reasonOf(pool.callTool(echo))
      yield* TestClock.adjust("6 minutes")
      const tried = it.starts.length
      assert.isAbove(tried, 5)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(it.starts, tried)
      yield* statusIs(pool, "Recovering")
    })
  )

  it.effect("a suspended server is not opened before it is resumed", () =>
    Effect.gen(function* () {
      const it = outages({ keepAlive: true })
      const pool = yield* make({ memory: it.source })
      yield* pool.callTool(echo)
      yield* pool.suspend(server)
      it.peer.last.drop()
      yield* statusIs(pool, "Recovering")
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(it.starts, 1)
      yield* pool.resume(server)
      yield* statusIs(pool, "Ready")
    })
  )

  it.effect("a server whose pool has stopped is not opened", () =>
    Effect.gen(function* () {
      const it = outages({ keepAlive: true })
      const pool = yield* make({ memory: it.source })
      yield* pool.callTool(echo)
      it.down()
      yield* eventually(() => it.starts.length === 2)
      yield* pool.stop
      const tried = it.starts.length
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(it.starts, tried)
      it.up()
      yield* pool.start
      yield* pool.callTool(echo)
    })
  )
})

describe("a day of outages", () => {
  it.effect.each(["a", "b"])("shows no storm and no giving up: %s", (seed) =>
    Effect.gen(function* () {
      // Nothing that waits for an answer while whole minutes pass at once.
      const it = outages({ keepAlive: true, health: { check: "off" } })
      const pool = yield* make({ memory: it.source })
      const events = yield* recorded(pool)
      yield* pool.callTool(echo)
      const day = 86_400_000
      for (let now = 0; now < day; now = yield* Clock.currentTimeMillis) {
        const up = yield* Random.nextIntBetween(1_000, 7_200_000)
        yield* TestClock.adjust(up)
        it.down()
        const down = yield* Random.nextIntBetween(1_000, 3_600_000)
        // Calls come all the time, and none opens the server where the policy would not.
        for (let passed = 0; passed < down; passed += 15_000) {
          yield* Effect.ignore(pool.callTool(echo))
          yield* TestClock.adjust(Math.min(15_000, down - passed))
        }
        it.up()
        for (let second = 0; second < 60; second++) {
          yield* TestClock.adjust("1 second")
          yield* Effect.yieldNow
        }
        yield* statusIs(pool, "Ready")
      }
      it.starts.forEach((at, n) => {
        const third = it.starts[n + 3]
        if (third !== undefined) assert.isAtLeast(third - at, 9_999, `storm at ${at}`)
      })
      assertLegal(events)
      assert.include(changes(events, server), "CircuitOpen")
    }).pipe(Random.withSeed(seed))
  )
})
