import { assert, describe, it } from "@effect/vitest"
import { type McpError, ServerStatus } from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Logger, Random, References } from "effect"
import { TestClock } from "effect/testing"
import { assertLegal, eventually, make, recorded } from "./support/pool.ts"
import { ScriptedPeer, type Session, tools } from "./support/ScriptedPeer.ts"

const names = ["a", "b", "c"]
/** The states that some server came to in some run. */
const reached = new Set<string>()
const seeds = Array.from({ length: 40 }, (_, n) => `pool-${n}`)

describe("a pool under everything at once", () => {
  it.effect.each(seeds)("settles every call, runs none twice and leaves nothing open: %s", (seed) =>
    Effect.gen(function* () {
      const below = (limit: number) => Random.nextIntBetween(0, limit, { halfOpen: true })
      const peers = names.map(
        () =>
          new ScriptedPeer({
            tools: { ...tools, late: (call) => setImmediate(() => call.text("late")) },
            // Every fifth connection fails, one way or the other.
            handshake: (session) => (session % 5 === 3 ? "drop" : session % 5 === 4 ? "ignore" : "answer")
          })
      )
      const frozen = new Set<Session>()
      for (const peer of peers) {
        const answer = peer.answer.bind(peer)
        peer.answer = (session, frame) => {
          if (!frozen.has(session)) answer(session, frame)
        }
      }
      const source = (n: number, maxWaiting = 5) =>
        peers[n]!.source({
          maxConcurrency: 3,
          maxWaiting,
          connectTimeout: "2 seconds",
          callIdleTimeout: "5 seconds",
          callTimeout: "20 seconds",
          idleTimeToLive: "20 seconds",
          health: { every: "4 seconds", timeout: "1 second", failures: 2 },
          restart: { intensity: 3, period: "5 seconds", backoff: "500 millis", maxBackoff: "10 seconds" }
        })
      const pool = yield* make(Object.fromEntries(names.map((name, n) => [name, source(n)])), {
        maxConcurrency: 5,
        acquireTimeout: "10 seconds"
      })
      const events = yield* recorded(pool)
      const calls: Array<{
        readonly tool: string
        readonly fiber: Fiber.Fiber<Exit.Exit<unknown, McpError.McpError>>
      }> = []
      const others: Array<Fiber.Fiber<unknown, unknown>> = []
      const meanwhile = (effect: Effect.Effect<unknown, McpError.McpError>) =>
        Effect.map(Effect.forkDetach(effect, { startImmediately: true }), (fiber) => others.push(fiber))
      // Fibres that may yield between any two steps meet each other between any two steps.
      const ops = [3, 5, 7, 2_048][yield* below(4)]!

      yield* Effect.gen(function* () {
        for (let step = 0; step < 120; step++) {
          const n = yield* below(names.length)
          const server = names[n]!
          switch (yield* below(28)) {
            case 0:
            case 1: {
              const call = calls[yield* below(Math.max(1, calls.length))]
              call?.fiber.interruptUnsafe()
              break
            }
            case 2:
              peers[n]!.open[0]?.drop()
              break
            case 3:
              yield* meanwhile(pool.evict(server))
              break
            case 4:
              yield* pool.suspend(server)
              break
            case 5:
              yield* pool.resume()
              break
            case 6:
              yield* meanwhile(pool.reconnect(server))
              break
            case 7:
              yield* meanwhile(pool.warmup([server]))
              break
            case 8:
              yield* pool.replace(server, source(n))
              break
            case 9:
              yield* meanwhile(pool.drain(server, "3 seconds"))
              break
            case 10:
              yield* meanwhile(pool.use(server, (connection) => connection.callTool({ tool: "late" })))
              break
            case 11:
              if ((yield* below(4)) === 0) yield* meanwhile(Effect.andThen(pool.stop, pool.start))
              break
            case 12:
              yield* meanwhile(pool.catalog)
              peers[n]!.open[0]?.notify("notifications/tools/list_changed")
              break
            case 13:
            case 14:
            case 15:
              yield* TestClock.adjust(`${yield* below(4_000)} millis`)
              break
            case 16: {
              const session = peers[n]!.open[0]
              if (session !== undefined) frozen.add(session)
              break
            }
            case 17:
              frozen.clear()
              break
            case 18:
              yield* TestClock.adjust(`${yield* below(20_000)} millis`)
              break
            case 19:
              yield* meanwhile(
                pool.reload(Object.fromEntries(names.map((name, m) => [name, source(m, m === n ? 6 : 5)])))
              )
              break
            default: {
              const tool = ["echo", "late", "late", "hang", "die", "fail"][yield* below(6)]!
              const fiber = yield* Effect.forkDetach(Effect.exit(pool.callTool({ server, tool })), {
                startImmediately: true
              })
              calls.push({ tool, fiber })
            }
          }
        }
      }).pipe(Effect.provideService(References.MaxOpsBeforeYield, ops))

      yield* pool.start
      yield* pool.resume()
      // The longest wait there is: a place, the connection, the call.
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("1 second")
      yield* eventually(() => calls.every(({ fiber }) => fiber.pollUnsafe() !== undefined))
      yield* eventually(() => others.every((fiber) => fiber.pollUnsafe() !== undefined))
      yield* eventually(() => Effect.map(pool.stats, ({ running, waiting }) => running === 0 && waiting === 0))
      const before = yield* pool.stats
      for (const { leases, running, waiting } of before.servers) {
        assert.deepStrictEqual([leases, running, waiting], [0, 0, 0])
      }
      for (const name of names) {
        // After all that, every server is used again, though every fifth connection fails and some are frozen.
        yield* eventually(
          () =>
            Effect.gen(function* () {
              const call = yield* Effect.forkDetach(Effect.exit(pool.callTool({ server: name, tool: "echo" })))
              for (let second = 0; second < 12; second++) yield* TestClock.adjust("1 second")
              return Exit.isSuccess(yield* Effect.flatten(Fiber.join(call)).pipe(Effect.exit))
            }),
          20
        )
      }
      // As the servers see it: none runs twice, but to end its last calls, and there are none.
      yield* eventually(() => peers.every((peer) => peer.open.length <= 1))
      for (const { connections, server } of (yield* pool.stats).servers) {
        assert.isAtMost(connections, 1, server)
      }
      for (const tool of ["hang", "die", "fail"]) {
        const ran = peers.reduce((total, peer) => total + peer.ran(tool), 0)
        assert.isAtMost(ran, calls.filter((call) => call.tool === tool).length, tool)
      }
      for (const { fiber, tool } of calls) {
        const exit = fiber.pollUnsafe()!
        if (Exit.isSuccess(exit) && Exit.isFailure(exit.value)) {
          assert.isFalse(
            exit.value.cause.reasons.some(({ _tag }) => _tag === "Die"),
            `${tool}: ${String(exit.value.cause)}`
          )
        }
      }
      yield* pool.close
      for (const peer of peers) assert.lengthOf(peer.open, 0)
      assertLegal(events)
      for (const event of events) if (event._tag === "StatusChanged") reached.add(event.to)
    }).pipe(Random.withSeed(seed), Effect.provide(Logger.layer([])))
  )

  it("comes to every state that a server can be in, but for the one that its configuration sets", () => {
    assert.sameMembers(
      [...reached],
      ServerStatus.ServerStatus.literals.filter((status) => status !== "Disabled")
    )
  })
})
