/** Closes the pool: every server at the same time, inside one limit. */
import { McpPool } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { check, NotSo, seconds, Story } from "../Story.ts"

export const closePool = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const story = yield* Story
  const told = yield* pool.events.pipe(
    Stream.tap((event) =>
      event._tag === "ConnectionClosed"
        ? story.line("ok", `${event.server} closed in ${seconds(event.closedIn)} (${event.step})`)
        : Effect.void
    ),
    Stream.filter((event) => event._tag === "PoolEnded"),
    Stream.runHead,
    Effect.forkChild({ startImmediately: true })
  )
  yield* pool.close
  const ended = yield* Fiber.join(told)
  if (Option.isNone(ended)) return yield* new NotSo({ what: "the pool did not tell how it closed" })
  const { closedCount, closedIn, failedCount } = ended.value
  yield* check(failedCount === 0, () => `${failedCount} connections could not be closed`)
  return `${closedCount} connections closed side by side, in ${seconds(closedIn)}`
})
