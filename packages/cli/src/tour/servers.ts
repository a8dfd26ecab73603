/** The names that the tour expects in its configuration. */
import { McpPool } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import { NotSo } from "./Story.ts"

export const database = "database"
export const search = "search"
export const files = "files"
export const everything = "everything"
export const everythingHttp = "everything-http"

/** The process that the pool started for a server; launchers start others below it. */
export const launcherOf = Effect.fnUntraced(function* (server: string) {
  const pool = yield* McpPool.McpPool
  const { servers } = yield* pool.stats
  const pid = servers.find((stats) => stats.server === server)?.pid
  return pid ?? (yield* new NotSo({ what: `"${server}" has no process` }))
})
