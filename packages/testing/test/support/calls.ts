/** What a call to the library came to, in two words. */
import { type McpError, McpPool } from "@scoped-mcp/core"
import { Effect } from "effect"

export const server = "library"

export const outcome = <A>(call: Effect.Effect<A, McpError.McpError>) =>
  Effect.match(call, {
    onFailure: (error): string => `${error.reason._tag} ${error.delivery}`,
    onSuccess: () => "ok"
  })

export const lend = (book: string) =>
  Effect.flatMap(McpPool.McpPool, (pool) => pool.callTool({ server, tool: "lend", arguments: { book } }))

export const tryLend = (book: string) =>
  Effect.flatMap(McpPool.McpPool, (pool) => outcome(pool.callTool({ server, tool: "lend", arguments: { book } })))
