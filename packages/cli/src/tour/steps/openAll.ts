/** Opens every server at once, and shows each becoming ready as it does. */
import { McpPool } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { oneLine } from "../../terminal/text.ts"
import { search } from "../servers.ts"
import { check, seconds, Story } from "../Story.ts"

export const openAll = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const story = yield* Story
  const statuses = yield* pool.statuses
  const opening = new Set(statuses.filter(({ status }) => status !== "Disabled").map(({ server }) => server))
  const servers = opening.size
  const longest = Math.max(...statuses.map(({ server }) => server.length))
  const wait = () => {
    if (opening.size > 0) story.live(`opening ${[...opening].join(", ")} …`)
  }

  const told = yield* pool.events.pipe(
    Stream.tap((event) => {
      if (event._tag === "ConnectionOpened") {
        opening.delete(event.server)
        const where = event.pid === undefined ? "over HTTP" : `process ${event.pid}`
        const text = `${event.server.padEnd(longest)}  ready in ${seconds(event.openedIn).padEnd(6)}  ${where}`
        return Effect.andThen(story.line("ok", text), Effect.sync(wait))
      }
      if (event._tag === "StatusChanged" && event.to === "Recovering") opening.delete(event.server)
      return Effect.void
    }),
    Stream.takeUntil(() => opening.size === 0),
    Stream.runDrain,
    Effect.forkChild({ startImmediately: true })
  )
  for (const { detail, server, status } of statuses) {
    if (status === "Disabled") yield* story.line("off", `${server.padEnd(longest)}  disabled: ${detail ?? ""}`)
  }
  wait()
  const warmed = yield* pool.warmup()
  yield* Fiber.join(told)

  const failed = Object.values(warmed).flatMap((it) =>
    it.ok || it.error.reason._tag === "ServerDisabled" ? [] : [it.error]
  )
  yield* check(failed.length === 0, () => failed.map(({ message }) => oneLine(message)).join("; "))
  const off = statuses.filter(({ status }) => status === "Disabled")
  const keyMissing = (process.env["TAVILY_API_KEY"] ?? "") === ""
  yield* check(
    !keyMissing ||
      (off.length === 1 && off[0]?.server === search && off[0].detail?.includes("TAVILY_API_KEY") === true),
    () => `"${search}" alone should be disabled, for want of TAVILY_API_KEY`
  )
  return off.length === 0
    ? `${servers} servers opened side by side`
    : `${servers} servers opened side by side, ${off.length} is disabled and in nobody's way`
})
