/** One list of what all servers offer. */
import { McpPool } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import { check, Story } from "../Story.ts"

export const listTools = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const story = yield* Story
  const catalog = yield* pool.catalog
  yield* check(catalog.unavailable.length === 0, () => catalog.unavailable.map(({ message }) => message).join("; "))
  yield* story.rows(
    catalog.servers.map(({ server, tools }) => [
      server,
      String(tools.length).padStart(2),
      tools.map(({ name }) => name).join(" ")
    ])
  )
  const empty = catalog.servers.filter(({ tools }) => tools.length === 0).map(({ server }) => server)
  yield* check(empty.length === 0, () => `${empty.join(", ")} offered no tools`)
  const total = catalog.servers.reduce((sum, { tools }) => sum + tools.length, 0)
  return `${total} tools of ${catalog.servers.length} servers in one snapshot`
})
