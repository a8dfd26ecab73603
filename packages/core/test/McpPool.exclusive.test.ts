import { assert, describe, it } from "@effect/vitest"
import type { Limits } from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Logger, Option, Random, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import { assertLegal, eventually, failure, make, reasonOf, recorded, start } from "./support/pool.ts"
import { ScriptedPeer, type Session } from "./support/ScriptedPeer.ts"

const server = "memory"

/** A server that keeps a state per session, notes where calls overlap, and answers when the test says so. */
const stateful = (limits: Limits.ServerLimits = {}) => {
  const running = new Map<Session, ReadonlyArray<number>>()
  const overlaps: Array<number> = []
  const held: Array<() => void> = []
  const entries = new Map<Session, Array<unknown>>()
  const peer = new ScriptedPeer({
    tools: {
      put: ({ arguments: { entry }, session, text }) => {
        entries.set(session, [...(entries.get(session) ?? []), entry])
        text(JSON.stringify(entries.get(session)))
      },
      work: ({ id, session, text }) => {
        const cancelled = session.sent("notifications/cancelled").map(({ params }) => params!["requestId"])
        const ids = [...(running.get(session) ?? []).filter((other) => !cancelled.includes(other)), id]
        running.set(session, ids)
        overlaps.push(ids.length)
        held.push(() => {
          running.set(
            session,
            running.get(session)!.filter((other) => other !== id)
          )
          text(String(session.number))
        })
      },
      hang: () => {},
      die: ({ session }) => session.drop()
    },
    methods: { ping: () => ({}) }
  })
  const source = peer.source({ sharing: "exclusive", ...limits })
  return { peer, source, overlaps, held, running }
}

const work = { server, tool: "work" } as const
const put = (entry: string) => ({ tool: "put", arguments: { entry } })

describe("an exclusive server", () => {
  it.effect("lends each connection to one call at a time, up to ten, and makes the others wait in order", () =>
    Effect.gen(function* () {
      const { held, overlaps, peer, source } = stateful()
      const pool = yield* make({ memory: source })
      const done: Array<number> = []
      const calls = yield* Effect.forEach(
        Array.from({ length: 25 }, (_, n) => n),
        (n) =>
          start(
            Effect.tap(pool.callTool(work), () =>
              Effect.sync(() => {
                done.push(n)
              })
            )
          )
      )
      yield* eventually(() => held.length === 10)
      assert.lengthOf(peer.open, 10)
      const [stats] = (yield* pool.stats).servers
      assert.deepInclude(stats, { connections: 10, running: 10, waiting: 15, status: "Ready" })
      for (let n = 0; n < 25; n++) {
        yield* eventually(() => held.length > 0)
        held.shift()!()
        yield* eventually(() => done.length === n + 1)
      }
      assert.deepStrictEqual(
        done,
        Array.from({ length: 25 }, (_, n) => n)
      )
      for (const call of calls) assert.isTrue(Exit.isSuccess(yield* Fiber.join(call)))
      assert.deepStrictEqual(new Set(overlaps), new Set([1]))
      assert.lengthOf(peer.sessions, 10)
    })
  )

  it.effect("fails who waits longer than the acquire timeout, and loses no place to who leaves", () =>
    Effect.gen(function* () {
      const { held, source } = stateful({ exclusive: { max: 1 }, callTimeout: "1 hour", callIdleTimeout: "1 hour" })
      const pool = yield* make({ memory: source }, { acquireTimeout: "5 seconds" })
      const first = yield* start(pool.callTool(work))
      yield* eventually(() => held.length === 1)
      const late = yield* start(pool.callTool(work))
      const gone = yield* start(pool.callTool(work))
      yield* Fiber.interrupt(gone)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(failure(yield* Fiber.join(late)), { _tag: "AcquireTimeout" })
      held.shift()!()
      yield* Fiber.join(first)
      const next = yield* start(pool.callTool(work))
      yield* eventually(() => held.length === 1)
      held.shift()!()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(next)))
    })
  )

  it.effect("keeps the state of a session for the calls of a lease, and out of those of others", () =>
    Effect.gen(function* () {
      const { peer, source } = stateful()
      const pool = yield* make({ memory: source })
      const session = (name: string) =>
        pool.use(server, (it) =>
          Effect.gen(function* () {
            yield* it.callTool(put(`${name} 1`))
            yield* Effect.yieldNow
            return (yield* it.callTool(put(`${name} 2`))).text
          })
        )
      const told = yield* Effect.forEach(["a", "b", "c"], session, { concurrency: "unbounded" })
      assert.deepStrictEqual(told, ['["a 1","a 2"]', '["b 1","b 2"]', '["c 1","c 2"]'])
      assert.lengthOf(peer.sessions, 3)
    })
  )

  it.effect(
    "fails the next call of a lease whose server was restarted, and never answers it from a fresh session",
    () =>
      Effect.gen(function* () {
        const { peer, source } = stateful()
        const pool = yield* make({ memory: source })
        yield* pool.use(server, (it) =>
          Effect.gen(function* () {
            yield* it.callTool(put("before"))
            peer.last.drop()
            // Another caller has a fresh session at once.
            assert.strictEqual((yield* pool.callTool({ server, ...put("other") })).text, '["other"]')
            const lost = yield* reasonOf(it.callTool(put("after")))
            assert.deepInclude(lost, { _tag: "ConnectionLost", delivery: "NotSent" })
            assert.strictEqual((yield* reasonOf(it.callTool(put("after"))))._tag, "ConnectionLost")
          })
        )
        assert.lengthOf(peer.sessions, 2)
        assert.strictEqual(peer.ran("put"), 2)
      })
  )

  it.effect("closes what is more than enough after a minute, and keeps what shall be kept", () =>
    Effect.gen(function* () {
      const { held, peer, source } = stateful({ exclusive: { min: 2 } })
      const pool = yield* make({ memory: source })
      assert.lengthOf(peer.sessions, 0)
      const calls = yield* Effect.forEach(Array.from({ length: 6 }), () => start(pool.callTool(work)))
      yield* eventually(() => held.length === 6)
      for (const answer of held.splice(0)) answer()
      yield* Effect.forEach(calls, Fiber.join)
      yield* TestClock.adjust("59 seconds")
      assert.lengthOf(peer.open, 6)
      yield* TestClock.adjust("1 second")
      yield* eventually(() => peer.open.length === 2)
      assert.deepInclude(yield* pool.status(server), { status: "Ready" })
      for (const session of peer.open) session.drop()
      yield* TestClock.adjust("1 second")
      yield* eventually(() => peer.open.length === 2)
    })
  )

  it.effect("is idle when none is left, and opens again for the next call", () =>
    Effect.gen(function* () {
      const { peer, source } = stateful()
      const pool = yield* make({ memory: source })
      const events = yield* recorded(pool)
      yield* pool.callTool({ server, ...put("one") })
      yield* TestClock.adjust("1 minute")
      yield* eventually(() => peer.open.length === 0)
      assert.deepInclude(yield* pool.status(server), { status: "Idle" })
      assert.isTrue(Option.isNone(yield* Effect.scoped(pool.getIfWarm(server))))
      yield* pool.callTool({ server, ...put("two") })
      assert.isTrue(Option.isSome(yield* Effect.scoped(pool.getIfWarm(server))))
      assert.lengthOf(peer.sessions, 2)
      assertLegal(events)
    })
  )

  it.effect("lends none that is older than its lifetime, not all of them at the same moment, and cuts none short", () =>
    Effect.gen(function* () {
      const { peer, source } = stateful({ exclusive: { min: 5 }, health: { check: "off" } })
      const pool = yield* make({ memory: source })
      yield* pool.callTool({ server, ...put("one") })
      yield* eventually(() => peer.open.length === 5)
      const scope = yield* Scope.make()
      const lent = yield* Scope.provide(pool.get(server), scope)
      yield* TestClock.adjust("27 minutes")
      assert.lengthOf(peer.sessions, 5)
      const renewed: Array<number> = []
      for (let second = 0; second < 180; second++) {
        const before = peer.sessions.length
        yield* TestClock.adjust("1 second")
        yield* eventually(() => peer.open.length === 5)
        if (peer.sessions.length > before) renewed.push(second)
      }
      assert.isAtLeast(renewed.length, 3)
      // The one on loan is the oldest by now, and still there for who holds it.
      assert.lengthOf(peer.sessions, 9)
      assert.strictEqual((yield* lent.callTool(put("two"))).text, '["one","two"]')
      yield* Scope.close(scope, Exit.void)
      yield* eventually(() => peer.sessions[0]!.state !== "Open")
      yield* eventually(() => peer.open.length === 5)
    }).pipe(Random.withSeed("lifetimes"))
  )

  it.effect("asks an unused connection how it is before it lends it, and lends another when it is not well", () =>
    Effect.gen(function* () {
      const { peer, source } = stateful()
      const pool = yield* make({ memory: source })
      yield* pool.callTool({ server, ...put("one") })
      yield* pool.callTool({ server, ...put("two") })
      assert.lengthOf(peer.sent("ping"), 0)
      yield* TestClock.adjust("1 second")
      yield* pool.callTool({ server, ...put("three") })
      assert.lengthOf(peer.sent("ping"), 1)
      // Frozen from now on.
      const [frozen] = peer.sessions
      frozen!.send = (message) => {
        frozen!.received.push(message as never)
        return Promise.resolve()
      }
      yield* TestClock.adjust("1 second")
      const call = yield* start(pool.callTool({ server, ...put("four") }))
      yield* eventually(() => frozen!.sent("ping").length === 2)
      yield* TestClock.adjust("5 seconds")
      const exit = yield* Fiber.join(call)
      assert.isTrue(Exit.isSuccess(exit) && exit.value.text === '["four"]')
      assert.lengthOf(frozen!.sent("tools/call"), 3)
      assert.strictEqual((yield* pool.stats).servers[0]!.recycled, 1)
    })
  )

  it.effect("looks after connections that nobody uses", () =>
    Effect.gen(function* () {
      const { peer, source } = stateful({ exclusive: { min: 1 } })
      const pool = yield* make({ memory: source })
      yield* pool.callTool({ server, ...put("one") })
      const [frozen] = peer.sessions
      yield* TestClock.adjust("30 seconds")
      yield* eventually(() => frozen!.sent("ping").length === 1)
      frozen!.send = () => Promise.resolve()
      yield* TestClock.adjust("30 seconds")
      yield* TestClock.adjust("5 seconds")
      yield* eventually(() => frozen!.state === "Closed")
      yield* eventually(() => peer.open.length === 1)
    })
  )

  it.effect("warns of a connection that was not given back, and names who borrowed it", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ fiber, message }) => {
        lines.push([message, fiber.getRef(References.CurrentLogAnnotations)])
      })
      yield* Effect.gen(function* () {
        const { source } = stateful()
        const pool = yield* make({ memory: source })
        const scope = yield* Scope.make()
        yield* Effect.withSpan(Scope.provide(pool.get(server), scope), "forgetful agent")
        yield* Effect.withSpan(
          pool.use(server, () => Effect.void),
          "tidy agent"
        )
        yield* TestClock.adjust("59 seconds")
        assert.notInclude(JSON.stringify(lines), "on loan")
        yield* TestClock.adjust("1 second")
        yield* eventually(() => JSON.stringify(lines).includes("MCP connection has been on loan for more than 60.0s"))
        assert.include(JSON.stringify(lines), '"borrower":"forgetful agent"')
        assert.notInclude(JSON.stringify(lines), "tidy agent")
        yield* Scope.close(scope, Exit.void)
      }).pipe(Effect.provide(Logger.layer([logger])))
    })
  )

  it.effect("is left alone when it keeps failing, with one attempt at a time, and is back when it is up", () =>
    Effect.gen(function* () {
      let down = true
      const peer = new ScriptedPeer({ handshake: () => (down ? "drop" : "answer") })
      const pool = yield* make({ memory: peer.source({ sharing: "exclusive" }) })
      const events = yield* recorded(pool)
      const echo = { server, tool: "echo" } as const
      for (let attempt = 1; attempt <= 3; attempt++) {
        assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "ConnectFailed", attempt })
      }
      assert.strictEqual((yield* reasonOf(pool.callTool(echo)))._tag, "CircuitOpen")
      const before = peer.sessions.length
      yield* TestClock.adjust("10 seconds")
      yield* eventually(() => Effect.map(Effect.orDie(pool.status(server)), (it) => it.status === "CircuitOpen"))
      assert.lengthOf(peer.sessions, before + 1)
      down = false
      yield* TestClock.adjust("1 minute")
      yield* eventually(() => Effect.map(Effect.orDie(pool.status(server)), (it) => it.status === "Ready"))
      const calls = yield* Effect.forEach(Array.from({ length: 20 }), () => start(pool.callTool(echo)))
      for (const call of calls) assert.isTrue(Exit.isSuccess(yield* Fiber.join(call)))
      assert.isAtMost(peer.open.length, 10)
      assertLegal(events)
    })
  )

  it.effect("reads its lists once, whichever connection is asked, and again when a server says so", () =>
    Effect.gen(function* () {
      const { peer, source } = stateful()
      const pool = yield* make({ memory: source })
      yield* Effect.scoped(Effect.all([pool.get(server), pool.get(server)]))
      yield* pool.catalog
      yield* pool.catalogOf(server)
      assert.lengthOf(peer.sent("tools/list"), 1)
      peer.last.notify("notifications/tools/list_changed")
      yield* eventually(() => peer.sent("tools/list").length === 2)
    })
  )

  it.effect("obeys evict, drain, replace and close like any other", () =>
    Effect.gen(function* () {
      const { held, peer, source } = stateful()
      const pool = yield* make({ memory: source })
      const events = yield* recorded(pool)
      const call = yield* start(pool.callTool(work))
      yield* eventually(() => held.length === 1)
      assert.isTrue(yield* pool.evict(server))
      yield* pool.callTool({ server, ...put("next") })
      assert.lengthOf(peer.open, 2)
      held.shift()!()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(call)))
      yield* eventually(() => peer.open.length === 1)
      assert.isTrue(yield* pool.drain(server, "1 second"))
      yield* eventually(() => peer.open.length === 0)
      yield* pool.resume(server)
      const scope = yield* Scope.make()
      const lent = yield* Scope.provide(pool.get(server), scope)
      yield* pool.replace(server, peer.source({ sharing: "exclusive", exclusive: { max: 2 } }, "other"))
      assert.strictEqual((yield* lent.callTool(put("old"))).text, '["old"]')
      yield* pool.callTool({ server, ...put("new") })
      yield* pool.close
      assert.strictEqual((yield* reasonOf(lent.callTool(put("closed"))))._tag, "ConnectionLost")
      yield* Scope.close(scope, Exit.void)
      assert.lengthOf(peer.open, 0)
      assertLegal(events)
    })
  )

  const seeds = Array.from({ length: 20 }, (_, n) => `exclusive-${n}`)

  it.effect.each(seeds)("never lends one twice, never opens too many and loses no place: %s", (seed) =>
    Effect.gen(function* () {
      const { held, overlaps, peer, source } = stateful({
        exclusive: { max: 3, min: 1, idleTimeToLive: "5 seconds", maxLifetime: "20 seconds" },
        callTimeout: "10 seconds"
      })
      let most = 0
      const counted = Effect.suspend(() => {
        most = Math.max(most, peer.open.length)
        return source.make
      })
      const pool = yield* make({ memory: { ...source, make: counted } }, { acquireTimeout: "8 seconds" })
      const events = yield* recorded(pool)
      const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
      const fibers: Array<Fiber.Fiber<unknown>> = []
      for (let step = 0; step < 120; step++) {
        const action = yield* below(12)
        if (action < 4) fibers.push(yield* start(pool.callTool(work)))
        else if (action === 4) fibers.push(yield* start(pool.callTool({ server, tool: "hang" })))
        else if (action === 5) {
          fibers.push(
            yield* start(pool.use(server, (it) => Effect.andThen(it.callTool(put("x")), it.callTool(put("y")))))
          )
        } else if (action === 6) held.splice(yield* below(held.length + 1), 1)[0]?.()
        else if (action === 7) for (const answer of held.splice(0)) answer()
        else if (action === 8 && fibers.length > 0) fibers[yield* below(fibers.length)]!.interruptUnsafe()
        else if (action === 9 && peer.open.length > 0) peer.open[yield* below(peer.open.length)]!.drop()
        else if (action === 10) yield* Effect.ignore(pool.evict(server))
        else yield* TestClock.adjust(`${1 + (yield* below(3_000))} millis`)
        for (let turn = yield* below(20); turn > 0; turn--) yield* Effect.yieldNow
      }
      const settled = yield* start(Effect.forEach(fibers, Fiber.await))
      for (let second = 0; second < 200 && settled.pollUnsafe() === undefined; second++) {
        for (const answer of held.splice(0)) answer()
        yield* TestClock.adjust("1 second")
        for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow
      }
      assert.isDefined(settled.pollUnsafe())
      assert.deepStrictEqual(new Set([1, ...overlaps]), new Set([1]))
      // One that is lost or closing may still be counted by its server when the next one starts.
      assert.isAtMost(most, 3)
      const [stats] = (yield* pool.stats).servers
      assert.deepInclude(stats, { running: 0, waiting: 0, leases: 0 })
      yield* TestClock.adjust("70 seconds")
      // Calls that were given up are still in there.
      held.length = 0
      const three = yield* Effect.forEach([1, 2, 3], () => start(pool.callTool(work)))
      yield* eventually(() => held.length === 3)
      for (const answer of held.splice(0)) answer()
      for (const it of three) assert.isTrue(Exit.isSuccess(yield* Fiber.join(it)))
      yield* pool.close
      yield* eventually(() => events.at(-1)?._tag === "PoolEnded")
      assert.lengthOf(peer.open, 0)
      assertLegal(events)
    }).pipe(Random.withSeed(seed), Effect.provide(Logger.layer([])))
  )
})
