import { assert } from "@effect/vitest"
import { type McpError, McpPool, type PoolEvent, ServerStatus } from "@scoped-mcp/core"
/** What tests of the pool have in common. */
import { Effect, Exit, type Fiber, Option, Stream } from "effect"
import * as Platform from "./platform.ts"

export const make = (servers: McpPool.Options["servers"], options: Omit<McpPool.Options, "servers"> = {}) =>
  McpPool.make({ servers, ...options }).pipe(Effect.provide(Platform.none))

export const reasonOf = <A>(effect: Effect.Effect<A, McpError.McpError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

export const failure = (exit: Exit.Exit<unknown, McpError.McpError>) =>
  Option.getOrThrow(Exit.findErrorOption(exit)).reason

/** Starts an effect, up to its first wait. */
export const start = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Fiber.Fiber<Exit.Exit<A, E>>> =>
  Effect.forkDetach(Effect.exit(effect), { startImmediately: true })

/** Lets other fibres run until it is so; fails when they come to rest without it. */
export const eventually = (condition: () => boolean | Effect.Effect<boolean>, turns = 500): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let turn = 0; turn < turns; turn++) {
      const met = condition()
      if (typeof met === "boolean" ? met : yield* met) return
      yield* Effect.yieldNow
    }
    assert.fail(`it never came about: ${String(condition)}`)
  })

/** Everything the pool tells from now on. */
export const recorded = (pool: McpPool.McpPoolService) =>
  Effect.gen(function* () {
    const events: Array<PoolEvent.PoolEvent> = []
    yield* Effect.forkDetach(
      Stream.runForEach(pool.events, (event) => Effect.sync(() => events.push(event))),
      { startImmediately: true }
    )
    return events
  })

/** Each change is legal, and begins where the last one ended. */
export const assertLegal = (events: ReadonlyArray<PoolEvent.PoolEvent>) => {
  const at = new Map<string, ServerStatus.ServerStatus>()
  for (const event of events) {
    if (event._tag === "RegistrationChanged") at.delete(event.server)
    if (event._tag !== "StatusChanged") continue
    assert.isTrue(ServerStatus.isLegal(event.from, event.to), `${event.server}: ${event.from} to ${event.to}`)
    const before = at.get(event.server)
    if (before !== undefined) assert.strictEqual(event.from, before, event.server)
    at.set(event.server, event.to)
  }
}

export const changes = (events: ReadonlyArray<PoolEvent.PoolEvent>, server: string) =>
  events.flatMap((event) => (event._tag === "StatusChanged" && event.server === server ? [event.to] : []))
