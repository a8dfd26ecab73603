import { assert, describe, it } from "@effect/vitest"
import { McpConnection, type McpError, McpPool, ServerConfig, ServerSource, type ServerStatus } from "@scoped-mcp/core"
import { Context, type Duration, Effect, Exit, Fiber, Latch, Layer, References, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "./support/platform.ts"
import { assertLegal, changes, eventually, failure, make, reasonOf, recorded, start } from "./support/pool.ts"
import { ScriptedPeer, type Tool, tools } from "./support/ScriptedPeer.ts"

const server = "memory"
const echo = { server, tool: "echo" } as const
const hang = { server, tool: "hang" } as const

/** A tool whose calls wait for the test. */
const held = () => {
  const calls: Array<() => void> = []
  const tool: Tool = (call) => void calls.push(() => call.text("released"))
  return { calls, tool, release: () => calls.splice(0).forEach((answer) => answer()) }
}

const statusIs = (pool: McpPool.McpPoolService, status: ServerStatus.ServerStatus) =>
  eventually(() => Effect.map(Effect.orDie(pool.status(server)), (report) => report.status === status))

describe("opening", () => {
  it.effect("shakes hands once for a thousand first users", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      const results = yield* Effect.forEach(Array.from({ length: 1_000 }), () => pool.callTool(echo), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual([results.length, peer.handshakes, peer.ran("echo")], [1_000, 1, 1_000])
    })
  )

  it.effect("opens nothing before it is asked", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      yield* pool.statuses
      yield* pool.stats
      assert.isTrue((yield* Effect.scoped(pool.getIfWarm(server)))._tag === "None")
      assert.lengthOf(peer.sessions, 0)
    })
  )

  it.effect("keeps the failure of one server to the calls of that server", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const down = new ScriptedPeer({ handshake: () => "drop" })
      const pool = yield* make({ memory: peer.source(), down: down.source() })
      assert.strictEqual((yield* reasonOf(pool.callTool({ server: "down", tool: "echo" })))._tag, "ConnectFailed")
      assert.strictEqual((yield* pool.callTool(echo)).text, "{}")
      const reports = yield* pool.statuses
      assert.deepStrictEqual(
        reports.map(({ classic, status }) => [status, classic]),
        [
          ["Ready", "connected"],
          ["Recovering", "error"]
        ]
      )
      assert.strictEqual(reports[1]!.lastError?.reason._tag, "ConnectFailed")
    })
  )

  it.effect("warms up what it can and tells what became of each", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({
        memory: peer.source(),
        down: new ScriptedPeer({ handshake: () => "drop" }).source(),
        off: ServerConfig.stdio({ command: "run-me", disabled: "no TOKEN" }),
        broken: ServerSource.fromLayer("broken", Layer.effect(McpConnection.McpConnection, Effect.die("a bug")))
      })
      const warmed = yield* pool.warmup(["memory", "down", "off", "broken", "memry"])
      const tags = Object.entries(warmed).map(([name, it]) => [name, it.ok ? "ok" : it.error.reason._tag])
      assert.deepStrictEqual(Object.fromEntries(tags), {
        memory: "ok",
        down: "ConnectFailed",
        off: "ServerDisabled",
        broken: "ConnectFailed",
        memry: "UnknownServer"
      })
      assert.sameMembers(Object.keys(yield* pool.warmup()), ["memory", "down", "off", "broken"])
    })
  )

  it.effect("replaces an open connection by warming up, without losing a call", () =>
    Effect.gen(function* () {
      const hold = held()
      const peer = new ScriptedPeer({ tools: { ...tools, hold: hold.tool } })
      const pool = yield* make({ memory: peer.source() })
      const running = yield* start(pool.callTool({ server, tool: "hold" }))
      yield* peer.until(() => hold.calls.length === 1)
      yield* pool.warmup([server])
      assert.strictEqual(peer.handshakes, 2)
      hold.release()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(running)))
      yield* peer.until(() => peer.open.length === 1)
      assert.strictEqual(peer.open[0], peer.last)
    })
  )

  it.effect("reports a failed connect at its deadline, and tries again only when its teardown is over", () =>
    Effect.gen(function* () {
      const closed = Promise.withResolvers<void>()
      const peer = new ScriptedPeer({
        handshake: (session) => (session === 0 ? "ignore" : "answer"),
        closing: () => (peer.sessions.length === 1 ? closed.promise : Promise.resolve())
      })
      const pool = yield* make({ memory: peer.source() })
      const first = yield* start(pool.callTool(echo))
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(failure(yield* Fiber.join(first)), { _tag: "ConnectFailed", phase: "Handshake", attempt: 1 })
      const second = yield* start(pool.callTool(echo))
      yield* TestClock.adjust("1 second")
      assert.lengthOf(peer.sessions, 1)
      closed.resolve()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(second)))
      assert.deepStrictEqual(
        peer.sessions.map(({ state }) => state),
        ["Closed", "Open"]
      )
    })
  )

  it.effect("gives up on a layer of the user's that never builds, and builds it anew the next time", () =>
    Effect.gen(function* () {
      let builds = 0
      const build = Effect.andThen(
        Effect.sync(() => builds++),
        Effect.never
      )
      const never = ServerSource.fromLayer("never", Layer.effect(McpConnection.McpConnection, build))
      const pool = yield* make({ memory: never })
      for (let attempt = 1; attempt <= 2; attempt++) {
        const warming = yield* start(pool.warmup())
        yield* TestClock.adjust("10 seconds")
        const { memory } = yield* Effect.flatten(Fiber.join(warming))
        assert.deepInclude(!memory!.ok && memory!.error.reason, { _tag: "ConnectFailed", phase: "Build", attempt })
        assert.strictEqual(builds, attempt)
      }
    })
  )

  it.effect("keeps the caller's context away from the shared connection", () => {
    class Secret extends Context.Service<Secret, string>()("test/Secret") {}
    const seen: Array<unknown> = []
    const layer = Layer.effect(
      McpConnection.McpConnection,
      Effect.gen(function* () {
        seen.push(yield* Effect.serviceOption(Secret), yield* References.CurrentLogAnnotations)
        return yield* McpConnection.make("inner", new ScriptedPeer().source()).pipe(Effect.provide(Platform.none))
      })
    )
    return Effect.gen(function* () {
      const pool = yield* make({ memory: ServerSource.fromLayer("layer", layer) })
      yield* pool.callTool(echo).pipe(Effect.annotateLogs("user", "alice"), Effect.provideService(Secret, "alice's"))
      assert.notInclude(JSON.stringify(seen), "alice")
      assert.lengthOf(seen, 2)
    })
  })
})

describe("names", () => {
  it.effect("offers the nearest names for one it does not know", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ tools: { read_file: tools.echo, read_files: tools.echo, write: tools.echo } })
      const pool = yield* make({ memory: peer.source(), files: peer.source() })
      assert.deepInclude(yield* reasonOf(pool.callTool({ server: "memry", tool: "t" })), {
        _tag: "UnknownServer",
        nearest: ["memory"]
      })
      assert.deepInclude(yield* reasonOf(pool.callTool({ server, tool: "readfile" })), {
        _tag: "UnknownTool",
        nearest: ["read_file", "read_files"]
      })
    })
  )

  it.effect("keeps nobody from an error for long to find them, when the server does not list its tools", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const answer = peer.answer.bind(peer)
      peer.answer = (session, frame) => {
        if (frame.method !== "tools/list") answer(session, frame)
      }
      const pool = yield* make({ memory: peer.source() })
      const call = yield* start(pool.callTool({ server, tool: "ecko", timeout: "5 seconds" }))
      yield* eventually(() => peer.sent("tools/list").length === 1)
      yield* TestClock.adjust("5 seconds")
      assert.isDefined(call.pollUnsafe())
      assert.deepInclude(failure(yield* Fiber.join(call)), { _tag: "ProtocolError", code: -32602 })
    })
  )

  it.effect("leaves the tool's own error alone when the tool exists", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ tools: { picky: (call) => call.refuse(-32602, "a must be a number") } })
      const pool = yield* make({ memory: peer.source() })
      assert.deepInclude(yield* reasonOf(pool.callTool({ server, tool: "picky" })), {
        _tag: "ProtocolError",
        code: -32602
      })
      assert.strictEqual(peer.ran("picky"), 1)
    })
  )

  it.effect("does not call a server that is disabled", () =>
    Effect.gen(function* () {
      const pool = yield* make({ off: ServerConfig.stdio({ command: "run-me", disabled: "no TOKEN" }) })
      assert.deepInclude(yield* reasonOf(pool.callTool({ server: "off", tool: "t" })), {
        _tag: "ServerDisabled",
        why: "no TOKEN"
      })
      assert.deepInclude((yield* pool.statuses)[0], { status: "Disabled", classic: "disconnected", detail: "no TOKEN" })
    })
  )
})

describe("recovery", () => {
  it.effect("never sends a call again that may have run, and opens again for the next one", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      assert.deepInclude(yield* reasonOf(pool.callTool({ server, tool: "die" })), {
        _tag: "ConnectionLost",
        delivery: "OutcomeUnknown"
      })
      assert.strictEqual(peer.ran("die"), 1)
      yield* pool.callTool(echo)
      assert.deepStrictEqual([peer.ran("die"), peer.ran("echo"), peer.handshakes], [1, 1, 2])
      assert.deepInclude((yield* pool.stats).servers[0]!, { opened: 2, lost: 1, status: "Ready" })
    })
  )

  it.effect("sends a call once more that was lost before it was sent, and only once more", () =>
    Effect.gen(function* () {
      // Every connection is lost the moment it is open, so nothing can be sent on it.
      const stillborn = (): ScriptedPeer => {
        const peer: ScriptedPeer = new ScriptedPeer()
        const answer = peer.answer.bind(peer)
        peer.answer = (session, frame) => {
          answer(session, frame)
          if (frame.method === "notifications/initialized" && session.number < limit) session.drop()
        }
        return peer
      }
      let limit = 1
      const once = stillborn()
      const pool = yield* make({ memory: once.source() })
      yield* pool.callTool(echo)
      assert.deepStrictEqual([once.ran("echo"), once.sessions.length], [1, 2])
      limit = Infinity
      const always = stillborn()
      yield* pool.replace(server, always.source())
      assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "ConnectionLost", delivery: "NotSent" })
      assert.deepStrictEqual([always.ran("echo"), always.sessions.length], [0, 2])
      assert.deepInclude((yield* pool.stats).servers[0]!, { running: 0, waiting: 0 })
    })
  )

  it.effect.each([3, 4, 5, 6, 7, 8])("knows of the loss before the call that meets it, %d steps to a turn", (steps) =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() }).pipe(
        Effect.provideService(References.MaxOpsBeforeYield, steps)
      )
      yield* pool.callTool(echo)
      const call = yield* Effect.suspend(() => {
        peer.last.drop()
        return start(pool.callTool(echo))
      })
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(call)))
      assert.deepInclude((yield* pool.stats).servers[0]!, { opened: 2, lost: 1 })
    })
  )

  it.effect("counts a call once, however often it was tried", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      yield* pool.callTool(echo)
      yield* Effect.ignore(pool.callTool({ server, tool: "fail" }))
      yield* Effect.ignore(pool.callTool({ server, tool: "die" }))
      const running = yield* start(pool.callTool(hang))
      yield* peer.until(() => peer.ran("hang") === 1)
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual((yield* pool.stats).servers[0]!.calls, {
        succeeded: 1,
        toolFailed: 1,
        timedOut: 0,
        cancelled: 1,
        refused: 0,
        failed: 1
      })
    })
  )

  it.effect("fails a connect and then recovers, without anything being restarted", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ handshake: (session) => (session < 3 ? "drop" : "answer") })
      const pool = yield* make({ memory: peer.source() })
      const events = yield* recorded(pool)
      for (let attempt = 1; attempt <= 3; attempt++) {
        assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "ConnectFailed", attempt })
      }
      assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "CircuitOpen", delivery: "NotSent" })
      yield* TestClock.adjust("10 seconds")
      yield* pool.callTool(echo)
      assert.isUndefined((yield* pool.status(server)).lastError)
      assertLegal(events)
      const tried = ["Connecting", "Recovering"] as const
      const last = ["CircuitOpen", "Connecting", "Ready"] as const
      assert.deepStrictEqual(changes(events, server), [...tried, ...tried, ...tried, ...last])
    })
  )
})

describe("idling", () => {
  it.effect("closes a connection nobody used for idleTimeToLive; a call re-arms it", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source({ idleTimeToLive: "10 minutes" }) })
      yield* pool.callTool(echo)
      yield* TestClock.adjust("9 minutes")
      yield* pool.callTool(echo)
      yield* TestClock.adjust("599 seconds")
      assert.lengthOf(peer.open, 1)
      yield* TestClock.adjust("1 second")
      yield* peer.until(() => peer.open.length === 0)
      assert.strictEqual((yield* pool.status(server)).status, "Idle")
      yield* pool.callTool(echo)
      assert.strictEqual(peer.handshakes, 2)
    })
  )

  it.effect("does not close under a call that runs", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source({ idleTimeToLive: "10 seconds" }) })
      yield* start(pool.callTool(hang))
      yield* peer.until(() => peer.ran("hang") === 1)
      yield* TestClock.adjust("59 seconds")
      assert.lengthOf(peer.open, 1)
      yield* TestClock.adjust("11 seconds") // the call is given up at 60 seconds
      yield* peer.until(() => peer.open.length === 0)
    })
  )

  it.effect("keeps what is warmed or declared keepAlive", () =>
    Effect.gen(function* () {
      const kept = new ScriptedPeer()
      const warmed = new ScriptedPeer()
      const pool = yield* make({ kept: kept.source({ keepAlive: true }), warmed: warmed.source() })
      yield* pool.callTool({ server: "kept", tool: "echo" })
      yield* pool.warmup(["warmed"])
      yield* pool.callTool({ server: "warmed", tool: "echo" })
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual([kept.open.length, warmed.open.length], [1, 1])
    })
  )
})

describe("limits", () => {
  it.effect("runs no more calls than the server's and the pool's maxConcurrency", () =>
    Effect.gen(function* () {
      const hold = held()
      const a = new ScriptedPeer({ tools: { hold: hold.tool } })
      const pool = yield* make(
        { a: a.source({ maxConcurrency: 2 }), b: a.source({ maxConcurrency: 2 }) },
        { maxConcurrency: 3 }
      )
      const calls = yield* Effect.forEach(["a", "a", "a", "b", "b", "b"], (server) =>
        start(pool.callTool({ server, tool: "hold" }))
      )
      yield* a.until(() => hold.calls.length === 3)
      yield* Effect.yieldNow
      const { running, servers, waiting } = yield* pool.stats
      assert.deepStrictEqual([hold.calls.length, running, waiting], [3, 3, 1])
      assert.deepStrictEqual(
        servers.map(({ waiting }) => waiting),
        [1, 1]
      )
      for (let done = 0; done < 6;) {
        yield* a.until(() => hold.calls.length > 0)
        assert.isAtMost(hold.calls.length, 3)
        hold.calls.shift()!()
        done++
      }
      assert.isTrue((yield* Effect.forEach(calls, Fiber.join)).every(Exit.isSuccess))
      assert.strictEqual((yield* pool.stats).running, 0)
    })
  )

  it.effect("refuses with Overloaded when it is told to, by server and by pool, and NotSent", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make(
        { memory: peer.source({ maxConcurrency: 1, overload: "reject" }), other: peer.source() },
        {
          maxConcurrency: 1,
          overload: "reject"
        }
      )
      yield* start(pool.callTool(hang))
      yield* peer.until(() => peer.ran("hang") === 1)
      assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "Overloaded", scope: "Server" })
      const other = yield* reasonOf(pool.callTool({ server: "other", tool: "echo" }))
      assert.deepInclude(other, { _tag: "Overloaded", scope: "Pool", delivery: "NotSent" })
    })
  )

  it.effect("waits for a place no longer than acquireTimeout, and leaves none taken", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source({ maxConcurrency: 1 }) }, { acquireTimeout: "20 seconds" })
      const running = yield* start(pool.callTool(hang))
      yield* peer.until(() => peer.ran("hang") === 1)
      const waiting = yield* start(pool.callTool(echo))
      yield* TestClock.adjust("19999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(failure(yield* Fiber.join(waiting))._tag, "AcquireTimeout")
      yield* Fiber.interrupt(running)
      assert.deepInclude(yield* pool.stats, { running: 0, waiting: 0 })
    })
  )

  it.effect("leaves no place taken when the connection went during the wait for it, and no other can be opened", () =>
    Effect.gen(function* () {
      const busy = new ScriptedPeer()
      const peer = new ScriptedPeer({ handshake: (session) => (session === 0 ? "answer" : "drop") })
      const pool = yield* make({ memory: peer.source(), busy: busy.source() }, { maxConcurrency: 1 })
      yield* pool.callTool(echo)
      const running = yield* start(pool.callTool({ server: "busy", tool: "hang" }))
      yield* busy.until(() => busy.ran("hang") === 1)
      const waiting = yield* start(pool.callTool(echo))
      yield* eventually(() => Effect.map(pool.stats, (stats) => stats.waiting === 1))
      yield* pool.evict(server)
      yield* Fiber.interrupt(running)
      assert.strictEqual(failure(yield* Fiber.join(waiting))._tag, "ConnectFailed")
      assert.deepInclude(yield* pool.stats, { running: 0, waiting: 0 })
      yield* pool.callTool({ server: "busy", tool: "echo" })
    })
  )

  it.effect("counts the opening into acquireTimeout", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ handshake: () => "ignore" })
      const pool = yield* make({ memory: peer.source({ connectTimeout: "1 minute" }) }, { acquireTimeout: "5 seconds" })
      const waiting = yield* start(pool.callTool(echo))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(failure(yield* Fiber.join(waiting))._tag, "AcquireTimeout")
      assert.deepInclude(yield* pool.stats, { running: 0, waiting: 0 })
    })
  )
})

describe("leases", () => {
  it.effect("lend one session for several requests, hold a place, and have no close", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source({ maxConcurrency: 2 }) })
      yield* pool.use(server, (connection) =>
        Effect.gen(function* () {
          assert.notProperty(connection, "close")
          yield* pool.evict(server)
          yield* pool.callTool(echo)
          yield* connection.callTool({ tool: "echo" })
          assert.deepStrictEqual(
            peer.sessions.map((session) => session.sent("tools/call").length),
            [1, 1]
          )
          assert.deepInclude((yield* pool.stats).servers[0]!, { running: 1, leases: 1 })
        })
      )
      yield* peer.until(() => peer.sessions[0]!.state === "Closed")
      assert.deepInclude((yield* pool.stats).servers[0]!, { running: 0, leases: 0 })
    })
  )

  it.effect("end with the caller's scope", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      const scope = yield* Scope.make()
      const connection = yield* Scope.provide(pool.get(server), scope)
      assert.strictEqual((yield* connection.callTool({ tool: "echo" })).text, "{}")
      assert.deepInclude((yield* pool.stats).servers[0]!, { running: 1, leases: 1 })
      const warm = yield* Scope.provide(pool.getIfWarm(server), scope)
      assert.strictEqual(warm._tag, "Some")
      assert.deepInclude((yield* pool.stats).servers[0]!, { running: 2, leases: 2 })
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude((yield* pool.stats).servers[0]!, { running: 0, leases: 0 })
    })
  )

  it.effect("are over when they were given back, though the connection is open", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      const kept = yield* pool.use(server, Effect.succeed)
      const requests: ReadonlyArray<Effect.Effect<unknown, McpError.McpError>> = [
        kept.callTool({ tool: "echo" }),
        kept.readResource({ uri: "a:b" }),
        kept.getPrompt({ prompt: "p" }),
        kept.complete({ ref: { prompt: "p" }, argument: { name: "a", value: "" } }),
        kept.ping,
        Effect.scoped(kept.subscribe("a:b")),
        kept.setLogLevel("info"),
        kept.listTools,
        kept.listResources,
        kept.listResourceTemplates,
        kept.listPrompts
      ]
      for (const request of requests) {
        assert.deepInclude(yield* reasonOf(request), { _tag: "LeaseEnded", delivery: "NotSent" })
      }
      assert.strictEqual(peer.ran("echo"), 0)
      assert.strictEqual((yield* pool.use(server, (connection) => connection.callTool({ tool: "echo" }))).text, "{}")
    })
  )

  it.effect("are never of a connection that was retired while its user was on the way to it", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      yield* Effect.forkDetach(
        Stream.runForEach(Stream.take(pool.events, 3), (event) =>
          event._tag === "ConnectionOpened" ? Effect.orDie(pool.evict(server)) : Effect.void
        ),
        { startImmediately: true }
      )
      const used = yield* Effect.forEach(
        [1, 2, 3],
        () => pool.use(server, (connection) => connection.callTool({ tool: "echo" })),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(used, 3)
    })
  )

  it.effect("that ask only for a warm connection do not open one, not even after a wait", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source({ maxConcurrency: 1 }) })
      const running = yield* start(pool.callTool(hang))
      yield* peer.until(() => peer.ran("hang") === 1)
      const asked = yield* start(Effect.scoped(pool.getIfWarm(server)))
      peer.last.drop()
      assert.strictEqual(failure(yield* Fiber.join(running))._tag, "ConnectionLost")
      const answer = yield* Effect.flatten(Fiber.join(asked))
      assert.strictEqual(answer._tag, "None")
      assert.strictEqual(peer.handshakes, 1)
      assert.strictEqual((yield* pool.stats).running, 0)
    })
  )
})

describe("verbs", () => {
  it.effect("suspend keeps new calls out, those in the queue included, until resume", () =>
    Effect.gen(function* () {
      const hold = held()
      const peer = new ScriptedPeer({ tools: { ...tools, hold: hold.tool } })
      const pool = yield* make({ memory: peer.source({ maxConcurrency: 1 }) })
      const running = yield* start(pool.callTool({ server, tool: "hold" }))
      yield* peer.until(() => hold.calls.length === 1)
      const queued = yield* start(pool.callTool(echo))
      yield* pool.suspend(server)
      assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "Suspended", delivery: "NotSent" })
      assert.isTrue((yield* pool.status(server)).suspended)
      hold.release()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(running)))
      assert.strictEqual(failure(yield* Fiber.join(queued))._tag, "Suspended")
      assert.strictEqual(peer.ran("echo"), 0)
      yield* pool.resume()
      yield* pool.callTool(echo)
    })
  )

  it.effect("drain waits for the running calls, and no longer", () =>
    Effect.gen(function* () {
      const hold = held()
      const peer = new ScriptedPeer({ tools: { hold: hold.tool } })
      const pool = yield* make({ memory: peer.source() })
      const running = yield* start(pool.callTool({ server, tool: "hold" }))
      yield* peer.until(() => hold.calls.length === 1)
      const draining = yield* start(pool.drain(server, "10 seconds"))
      yield* TestClock.adjust("3 seconds")
      assert.isUndefined(draining.pollUnsafe())
      hold.release()
      yield* Fiber.join(running)
      assert.isTrue(yield* Effect.flatten(Fiber.join(draining)))
      yield* peer.until(() => peer.open.length === 0)
      assert.deepInclude(yield* pool.status(server), { status: "Idle", suspended: true })
    })
  )

  it.effect("drain says so when its limit passes first; the call ends on its connection all the same", () =>
    Effect.gen(function* () {
      const hold = held()
      const peer = new ScriptedPeer({ tools: { hold: hold.tool } })
      const pool = yield* make({ memory: peer.source() })
      const running = yield* start(pool.callTool({ server, tool: "hold" }))
      yield* peer.until(() => hold.calls.length === 1)
      const draining = yield* start(pool.drain(server, "10 seconds"))
      yield* TestClock.adjust("10 seconds")
      assert.isFalse(yield* Effect.flatten(Fiber.join(draining)))
      assert.lengthOf(peer.open, 1)
      hold.release()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(running)))
      yield* peer.until(() => peer.open.length === 0)
    })
  )

  it.effect("evict and reconnect let running calls end where they are", () =>
    Effect.gen(function* () {
      const hold = held()
      const peer = new ScriptedPeer({ tools: { ...tools, hold: hold.tool } })
      const pool = yield* make({ memory: peer.source() })
      assert.isFalse(yield* pool.evict(server))
      const running = yield* start(pool.callTool({ server, tool: "hold" }))
      yield* peer.until(() => hold.calls.length === 1)
      assert.isTrue(yield* pool.evict(server))
      assert.strictEqual((yield* pool.status(server)).status, "Idle")
      yield* pool.reconnect(server)
      yield* pool.reconnect(server)
      assert.strictEqual(peer.handshakes, 3)
      yield* peer.until(() => peer.open.length === 2)
      hold.release()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(running)))
      yield* peer.until(() => peer.open.length === 1)
      assert.lengthOf(peer.sent("notifications/cancelled"), 0)
    })
  )

  it.effect("a retired connection stays for those who use it, however long that takes", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source({ callTimeout: "90 seconds" }) })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* pool.get(server)
          yield* pool.evict(server)
          yield* TestClock.adjust("10 minutes")
          yield* lease.callTool({ tool: "echo" })
          assert.lengthOf(peer.open, 1)
        })
      )
      yield* peer.until(() => peer.open.length === 0)
      yield* pool.callTool(echo)
      assert.deepInclude((yield* pool.stats).servers[0]!, { running: 0, leases: 0, status: "Ready" })
    })
  )

  it.effect("register adds, remove takes out, and both say whether they did", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({})
      assert.isTrue(yield* pool.register(server, peer.source()))
      assert.isFalse(yield* pool.register(server, new ScriptedPeer().source()))
      yield* pool.callTool(echo)
      assert.strictEqual(peer.ran("echo"), 1)
      assert.isTrue(yield* pool.remove(server))
      assert.isFalse(yield* pool.remove(server))
      yield* peer.until(() => peer.open.length === 0)
      assert.strictEqual((yield* reasonOf(pool.callTool(echo)))._tag, "UnknownServer")
    })
  )

  it.effect("keep no more than 4,096 events for a reader that has stopped, and tell it of the end", () =>
    Effect.gen(function* () {
      const pool = yield* make({})
      const stopped = Latch.makeUnsafe()
      const seen: Array<string> = []
      const reading = Stream.runForEach(pool.events, ({ _tag }) => {
        seen.push(_tag)
        return stopped.await
      })
      yield* Effect.forkDetach(reading, { startImmediately: true })
      for (let turn = 0; turn < 5_000; turn++) {
        yield* pool.register(server, new ScriptedPeer().source())
        yield* pool.remove(server)
      }
      yield* stopped.open
      yield* pool.close
      yield* eventually(() => seen.at(-1) === "PoolEnded", 20_000)
      assert.isAtMost(seen.length, 2 * 4_096 + 1)
    })
  )

  it.effect("remove closes a connection that was only being opened", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      const events = yield* recorded(pool)
      const call = yield* start(pool.callTool(echo))
      assert.isTrue(yield* pool.remove(server))
      assert.strictEqual(failure(yield* Fiber.join(call))._tag, "UnknownServer")
      yield* peer.until(() => peer.last.state === "Closed")
      assert.deepStrictEqual([peer.ran("echo"), peer.sessions.length], [0, 1])
      assert.notInclude(
        events.map(({ _tag }) => _tag),
        "ConnectionOpened"
      )
    })
  )

  it.effect("replacing under load loses no call and no lease, and no call runs twice", () =>
    Effect.gen(function* () {
      const peers = Array.from({ length: 5 }, () => new ScriptedPeer())
      const pool = yield* make({ memory: peers[0]!.source({ maxConcurrency: 3 }) })
      const calls = yield* start(
        Effect.forEach(
          Array.from({ length: 400 }, (_, n) => n),
          (n) =>
            n % 4 === 0 ? pool.use(server, (connection) => connection.callTool({ tool: "echo" })) : pool.callTool(echo),
          { concurrency: 40 }
        )
      )
      for (const next of peers.slice(1)) {
        yield* peers[peers.indexOf(next) - 1]!.until(() => peers[peers.indexOf(next) - 1]!.ran("echo") >= 20)
        yield* pool.replace(server, next.source({ maxConcurrency: 3 }))
      }
      assert.lengthOf(yield* Effect.flatten(Fiber.join(calls)), 400)
      assert.strictEqual(
        peers.reduce((total, peer) => total + peer.ran("echo"), 0),
        400
      )
      yield* eventually(() => peers.slice(0, -1).every((peer) => peer.open.length === 0))
    })
  )

  it.effect("a replacement is started only when what it replaces has ended, unless calls still run there", () =>
    Effect.gen(function* () {
      const closed = Promise.withResolvers<void>()
      const before = new ScriptedPeer({ closing: () => closed.promise })
      const after = new ScriptedPeer()
      const pool = yield* make({ memory: before.source() })
      yield* pool.callTool(echo)
      yield* pool.replace(server, after.source())
      const call = yield* start(pool.callTool(echo))
      yield* before.until(() => before.last.state === "Open")
      for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
      assert.lengthOf(after.sessions, 0)
      closed.resolve()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(call)))
      assert.lengthOf(before.open, 0)
    })
  )

  it.effect("reload keeps the session of a server that is equal to before, and makes the rest be as told", () =>
    Effect.gen(function* () {
      const [same, other, gone, added] = [1, 2, 3, 4].map(() => new ScriptedPeer()) as [
        ScriptedPeer,
        ScriptedPeer,
        ScriptedPeer,
        ScriptedPeer
      ]
      const pool = yield* make({ same: same.source(), changed: other.source(), gone: gone.source() })
      yield* pool.warmup()
      yield* pool.reload({ same: same.source(), changed: other.source({ maxConcurrency: 7 }), added: added.source() })
      yield* eventually(() => gone.open.length === 0 && other.open.length === 0)
      for (const server of ["same", "changed", "added"]) yield* pool.callTool({ server, tool: "echo" })
      assert.deepStrictEqual([same.handshakes, other.handshakes, added.handshakes], [1, 2, 1])
      assert.sameMembers([...(yield* pool.stats).registeredServers], ["same", "changed", "added"])
    })
  )
})

describe("catalog", () => {
  const versions = (pool: McpPool.McpPoolService) =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      yield* Effect.forkDetach(
        Stream.runForEach(pool.catalogs, ({ version }) => Effect.sync(() => seen.push(version))),
        { startImmediately: true }
      )
      return seen
    })

  it.effect("gathers what all servers offer, and names those that cannot be asked", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const down = new ScriptedPeer({ handshake: () => "drop" })
      const pool = yield* make({ memory: peer.source(), down: down.source() })
      const { servers, unavailable, version } = yield* pool.catalog
      assert.strictEqual(version, 1)
      assert.deepStrictEqual(
        servers.map(({ server, stale, tools }) => [server, stale, tools.length]),
        [[server, false, 4]]
      )
      assert.deepStrictEqual(
        unavailable.map(({ server }) => server),
        ["down"]
      )
      yield* pool.catalog
      assert.lengthOf(peer.sent("tools/list"), 1)
    })
  )

  it.effect("reads the lists of a server once for all who ask at the same time, whoever of them leaves", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const held: Array<() => void> = []
      const answer = peer.answer.bind(peer)
      peer.answer = (session, frame) => {
        if (frame.method === "tools/list") held.push(() => answer(session, frame))
        else answer(session, frame)
      }
      const pool = yield* make({ memory: peer.source() })
      const asking = yield* Effect.forEach(Array.from({ length: 20 }), () => start(pool.catalogOf(server)))
      yield* peer.until(() => held.length === 1)
      yield* Fiber.interrupt(asking[0]!)
      // One that asks after a change is not given what was read before it.
      peer.last.notify("notifications/tools/list_changed")
      for (let turn = 0; turn < 5; turn++) yield* Effect.yieldNow
      const late = yield* start(pool.catalogOf(server))
      yield* peer.until(() => held.length === 2)
      held[0]!()
      for (const asked of asking.slice(1)) assert.isTrue(Exit.isSuccess(yield* Fiber.join(asked)))
      assert.isUndefined(late.pollUnsafe())
      held[1]!()
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(late)))
      assert.deepStrictEqual([peer.sent("tools/list").length, (yield* pool.stats).running], [2, 0])
    })
  )

  it.effect("publishes no snapshot that leaves out who could not be asked", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      let up = false
      const other = new ScriptedPeer({ handshake: () => (up ? "answer" : "drop") })
      const pool = yield* make({ memory: peer.source(), other: other.source() })
      const seen: Array<readonly [number, number, ReadonlyArray<string>]> = []
      yield* Effect.forkDetach(
        Stream.runForEach(pool.catalogs, ({ servers, unavailable, version }) =>
          Effect.sync(() => seen.push([version, servers.length, unavailable.map((error) => error.server)]))
        ),
        { startImmediately: true }
      )
      yield* pool.catalog
      yield* eventually(() => seen.length === 1)
      up = true
      yield* pool.catalog
      yield* eventually(() => seen.length === 2)
      assert.deepStrictEqual(seen, [
        [1, 1, ["other"]],
        [2, 2, []]
      ])
    })
  )

  it.effect("has a new version when a server says that its list changed, and only if it did", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ tools: { one: tools.echo } })
      const pool = yield* make({ memory: peer.source() })
      const seen = yield* versions(pool)
      yield* pool.catalog
      yield* eventually(() => seen.length === 1)
      peer.last.notify("notifications/tools/list_changed")
      yield* peer.until(() => peer.sent("tools/list").length === 2)
      peer.script = { ...peer.script, tools: { one: tools.echo, two: tools.echo } }
      peer.last.notify("notifications/tools/list_changed")
      yield* eventually(() => seen.length === 2)
      assert.deepStrictEqual(seen, [1, 2])
      assert.lengthOf((yield* pool.catalogOf(server)).tools, 2)
      assert.lengthOf(peer.sent("tools/list"), 3)
    })
  )

  it.effect("is read again when it changed while it was being read for the first time", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ tools: { one: tools.echo } })
      const answer = peer.answer.bind(peer)
      peer.answer = (session, frame) => {
        if (frame.method === "tools/list") session.notify("notifications/tools/list_changed")
        answer(session, frame)
      }
      const pool = yield* make({ memory: peer.source() })
      yield* pool.catalogOf(server)
      peer.answer = answer
      yield* pool.catalogOf(server)
      assert.lengthOf(peer.sent("tools/list"), 2)
    })
  )

  it.effect("is read again when a change could not be read at the time", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ tools: { one: tools.echo } })
      const pool = yield* make({ memory: peer.source() })
      yield* pool.catalog
      yield* pool.suspend(server)
      peer.script = { ...peer.script, tools: { two: tools.echo } }
      peer.last.notify("notifications/tools/list_changed")
      yield* eventually(() => Effect.map(pool.catalog, ({ servers }) => servers[0]?.stale === true))
      yield* pool.resume(server)
      assert.deepStrictEqual(
        (yield* pool.catalogOf(server)).tools.map(({ name }) => name),
        ["two"]
      )
    })
  )

  it.effect("marks a list as stale whose connection has ended", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ handshake: (session) => (session === 0 ? "answer" : "drop") })
      const pool = yield* make({ memory: peer.source() })
      yield* pool.catalog
      peer.last.drop()
      yield* statusIs(pool, "Recovering")
      const { servers, unavailable } = yield* pool.catalog
      assert.deepStrictEqual(
        servers.map(({ stale }) => stale),
        [true]
      )
      assert.strictEqual(unavailable[0]?.reason._tag, "ConnectFailed")
    })
  )
})

describe("types", () => {
  it("a program that uses the pool says so, and does not compile without it", () => {
    const program = Effect.gen(function* () {
      return yield* (yield* McpPool.McpPool).callTool(echo)
    })
    const requires: Effect.Services<typeof program> extends McpPool.McpPool ? true : false = true
    const requiredBy: McpPool.McpPool extends Effect.Services<typeof program> ? true : false = true
    const fails: Effect.Error<typeof program> extends McpError.McpError ? true : false = true
    const runnable: typeof program extends Effect.Effect<unknown, unknown> ? true : false = false
    const provided = Effect.provide(program, McpPool.layer({ servers: {} }).pipe(Layer.provide(Platform.none)))
    const complete: typeof provided extends Effect.Effect<unknown, unknown> ? true : false = true
    assert.deepStrictEqual([requires, requiredBy, fails, runnable, complete], [true, true, true, false, true])
  })

  it("a leased connection has no close, and a duration needs a unit", () => {
    const leased: "close" extends keyof McpPool.LeasedConnection ? true : false = false
    const bare: number extends NonNullable<McpPool.Options["acquireTimeout"]> ? true : false = false
    const withUnit: Duration.Duration extends NonNullable<McpPool.Options["acquireTimeout"]> ? true : false = true
    assert.deepStrictEqual([leased, bare, withUnit], [false, false, true])
  })
})
