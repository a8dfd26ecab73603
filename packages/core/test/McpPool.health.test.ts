import { assert, describe, it } from "@effect/vitest"
import { HealthCheck, type Limits, type McpPool, type ServerStatus } from "@scoped-mcp/core"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { assertLegal, changes, eventually, failure, make, reasonOf, recorded, start } from "./support/pool.ts"
import { ScriptedPeer, type Session } from "./support/ScriptedPeer.ts"

const server = "memory"
const echo = { server, tool: "echo" } as const
const hang = { server, tool: "hang" } as const

const statusIs = (pool: McpPool.McpPoolService, status: ServerStatus.ServerStatus) =>
  eventually(() => Effect.map(Effect.orDie(pool.status(server)), (report) => report.status === status))

/** A server whose sessions can be frozen: they read, and answer nothing. */
const freezable = () => {
  const peer = new ScriptedPeer()
  const frozen = new Set<Session>()
  const answer = peer.answer.bind(peer)
  peer.answer = (session, frame) => {
    if (!frozen.has(session)) answer(session, frame)
  }
  return { peer, freeze: (session: Session) => frozen.add(session), thaw: () => frozen.clear() }
}

/** Time in steps, so that answers come in between. */
const pass = Effect.fnUntraced(function* (seconds: number) {
  for (let passed = 0; passed < seconds; passed++) {
    yield* TestClock.adjust("1 second")
    for (let turn = 0; turn < 3; turn++) yield* Effect.yieldNow
  }
})

describe("health checks", () => {
  it.effect("ask every 30 seconds, and change nothing while the server answers", () =>
    Effect.gen(function* () {
      const { peer } = freezable()
      const pool = yield* make({ memory: peer.source({ keepAlive: true }) })
      const events = yield* recorded(pool)
      yield* pool.callTool(echo)
      yield* pass(301)
      assert.lengthOf(peer.sent("ping"), 10)
      assert.deepStrictEqual(changes(events, server), ["Connecting", "Ready"])
    })
  )

  it.effect("do not keep a connection from closing for idling", () =>
    Effect.gen(function* () {
      const { peer } = freezable()
      const pool = yield* make({ memory: peer.source({ idleTimeToLive: "2 minutes" }) })
      yield* pool.callTool(echo)
      yield* pass(120)
      yield* statusIs(pool, "Idle")
      const asked = peer.sent("ping").length
      yield* pass(120)
      assert.lengthOf(peer.sent("ping"), asked)
    })
  )

  it.effect("replace a frozen server after three failures, and leave the calls that run on it", () =>
    Effect.gen(function* () {
      const { freeze, peer } = freezable()
      const pool = yield* make({ memory: peer.source({ callIdleTimeout: "4 minutes" }) })
      const events = yield* recorded(pool)
      const running = yield* start(pool.callTool(hang))
      yield* peer.until(() => peer.ran("hang") === 1)
      freeze(peer.last)
      yield* pass(36)
      const degraded = yield* pool.status(server)
      assert.deepInclude(degraded, { status: "Degraded", classic: "connected" })
      assert.include(degraded.detail, 'fails its health check "timeout": no answer within 5s (health.timeout)')
      yield* pass(70)
      // 30 s to the first check, 5 s for each of three, 30 s between them.
      assert.deepStrictEqual(changes(events, server), [
        "Connecting",
        "Ready",
        "Degraded",
        "Recovering",
        "Connecting",
        "Ready"
      ])
      assert.strictEqual((yield* pool.callTool(echo)).text, "{}")
      assert.deepInclude((yield* pool.stats).servers[0]!, { opened: 2, lost: 0, recycled: 1, running: 1 })
      assert.isUndefined(running.pollUnsafe())
      assert.strictEqual(peer.sessions[0]!.state, "Open")
      yield* pass(140)
      assert.deepInclude(failure(yield* Fiber.join(running)), { _tag: "CallTimeout", delivery: "OutcomeUnknown" })
      yield* eventually(() => peer.sessions[0]!.state === "Closed")
      assertLegal(events)
    })
  )

  it.effect("are over for a server that answers again in time", () =>
    Effect.gen(function* () {
      const { freeze, peer, thaw } = freezable()
      const pool = yield* make({ memory: peer.source() })
      const events = yield* recorded(pool)
      yield* pool.callTool(echo)
      freeze(peer.last)
      yield* pass(36)
      yield* statusIs(pool, "Degraded")
      thaw()
      yield* pass(35)
      assert.deepStrictEqual(changes(events, server), ["Connecting", "Ready", "Degraded", "Ready"])
      assert.isUndefined((yield* pool.status(server)).lastError)
      assert.lengthOf(peer.sessions, 1)
    })
  )

  it.effect(
    "come at once when calls get no answer, so that a frozen server leaves use after its calls' first limit",
    () =>
      Effect.gen(function* () {
        const { freeze, peer } = freezable()
        // Nothing else asks.
        const pool = yield* make({
          memory: peer.source({ callIdleTimeout: "20 seconds", health: { every: "1 hour" } })
        })
        yield* pool.callTool(echo)
        freeze(peer.last)
        const calls = yield* Effect.forEach([1, 2, 3], () => start(pool.callTool(echo)))
        yield* pass(20)
        for (const call of calls) assert.strictEqual(failure(yield* Fiber.join(call))._tag, "CallTimeout")
        yield* pass(5)
        yield* statusIs(pool, "Ready")
        yield* pool.callTool(echo)
        assert.deepInclude((yield* pool.stats).servers[0]!, { opened: 2, recycled: 1 })
      })
  )

  it.effect("do not hold a limit of ours that was too short against the server", () =>
    Effect.gen(function* () {
      const { freeze, peer } = freezable()
      const pool = yield* make({ memory: peer.source({ callIdleTimeout: "1 second" }) })
      for (let call = 0; call < 10; call++) {
        const running = yield* start(pool.callTool(hang))
        yield* pass(2)
        assert.strictEqual(failure(yield* Fiber.join(running))._tag, "CallTimeout")
      }
      assert.deepInclude((yield* pool.stats).servers[0]!, { opened: 1, recycled: 0, status: "Ready" })
      // Nor later, when one check fails.
      freeze(peer.last)
      yield* pass(37)
      assert.deepInclude((yield* pool.stats).servers[0]!, { recycled: 0, status: "Degraded" })
    })
  )

  it.effect("do not hold a full queue against the server", () =>
    Effect.gen(function* () {
      const { peer } = freezable()
      const limits: Limits.ServerLimits = { maxConcurrency: 1, overload: "reject", health: { failures: 1 } }
      const pool = yield* make({ memory: peer.source(limits) })
      yield* start(pool.callTool(hang))
      yield* peer.until(() => peer.ran("hang") === 1)
      for (let call = 0; call < 10; call++) {
        assert.strictEqual((yield* reasonOf(pool.callTool(echo)))._tag, "Overloaded")
      }
      yield* pass(50)
      assert.deepInclude((yield* pool.stats).servers[0]!, { opened: 1, status: "Ready" })
    })
  )

  it.effect("do not storm a server that freezes each time", () =>
    Effect.gen(function* () {
      const { freeze, peer } = freezable()
      const pool = yield* make({ memory: peer.source({ keepAlive: true, health: { failures: 1 } }) })
      yield* pool.callTool(echo)
      for (let minute = 0; minute < 30; minute++) {
        for (const session of peer.open) freeze(session)
        yield* pass(60)
      }
      assert.isAtMost(peer.sessions.length, 60)
      yield* eventually(() => peer.open.length <= 1)
    })
  )

  it.effect("are what the server's name has in the pool, or nothing when they are off", () =>
    Effect.gen(function* () {
      const own = freezable()
      const off = freezable()
      let well = true
      const check = HealthCheck.custom("moon", () => (well ? Effect.void : Effect.fail(new Error("it is full"))))
      const pool = yield* make(
        { memory: own.peer.source(), off: off.peer.source({ keepAlive: true, health: { check: "off" } }) },
        { healthChecks: { memory: check } }
      )
      yield* pool.warmup()
      well = false
      off.freeze(off.peer.last)
      yield* pass(31)
      yield* statusIs(pool, "Degraded")
      assert.include((yield* pool.status(server)).detail, '"moon": it is full')
      yield* pass(600)
      assert.lengthOf(own.peer.sent("ping"), 0)
      assert.lengthOf(off.peer.sent("ping"), 0)
      assert.strictEqual((yield* pool.status("off")).status, "Ready")
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(pool.callTool(echo))))
    })
  )
})
