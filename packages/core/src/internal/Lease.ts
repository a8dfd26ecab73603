/** A connection as one borrower has it: what it is asked after it was given back fails. */
import * as Effect from "effect/Effect"
import type { CallTool, CallToolAs, DecodedToolResult } from "../McpConnection.ts"
import { LeaseEnded, McpError } from "../McpError.ts"
import type { LeasedConnection } from "../McpPool.ts"
import type { ToolResult } from "../ToolResult.ts"

export interface Lease {
  readonly connection: LeasedConnection
  readonly end: () => void
}

/** `onFailure` is told of each request that fails. */
export const make = (server: string, lent: LeasedConnection, onFailure: (error: McpError) => void): Lease => {
  let ended = false
  const tell = (error: McpError) => Effect.sync(() => onFailure(error))
  const guard = <A, R>(request: Effect.Effect<A, McpError, R>): Effect.Effect<A, McpError, R> => {
    const told = Effect.tapError(request, tell)
    return Effect.suspend(() => (ended ? new McpError({ reason: new LeaseEnded({ server }) }) : told))
  }
  function callTool<A>(call: CallToolAs<A>): Effect.Effect<DecodedToolResult<A>, McpError>
  function callTool(call: CallTool): Effect.Effect<ToolResult, McpError>
  function callTool(call: CallTool): Effect.Effect<ToolResult, McpError> {
    return guard(lent.callTool(call))
  }
  return {
    connection: {
      ...lent,
      callTool,
      readResource: (read) => guard(lent.readResource(read)),
      getPrompt: (get) => guard(lent.getPrompt(get)),
      complete: (complete) => guard(lent.complete(complete)),
      ping: guard(lent.ping),
      subscribe: (uri) => guard(lent.subscribe(uri)),
      setLogLevel: (level) => guard(lent.setLogLevel(level)),
      listTools: guard(lent.listTools),
      listResources: guard(lent.listResources),
      listResourceTemplates: guard(lent.listResourceTemplates),
      listPrompts: guard(lent.listPrompts)
    },
    end: () => {
      ended = true
    }
  }
}
