/** The pool as a service of Effect 3: opened by a Layer, closed with its scope. Agents depend on the tag and on nothing else. */
import { type CallTool, type Configuration, McpError, openPool, type ToolResult } from "@scoped-mcp/handle"
import { Context, Effect, Layer } from "effect"

export class McpPool extends Context.Tag("McpPool")<
  McpPool,
  {
    /** Interruption cancels the call on its server. */
    readonly callTool: (call: CallTool) => Effect.Effect<ToolResult, McpError>
  }
>() {}

/** What is not an error of a server is a mistake of ours. */
const asMcpError = <A>(effect: Effect.Effect<A, unknown>): Effect.Effect<A, McpError> =>
  Effect.catchAll(effect, (error) => (error instanceof McpError ? Effect.fail(error) : Effect.die(error)))

export const layer = (configuration: Configuration): Layer.Layer<McpPool> =>
  Layer.scoped(
    McpPool,
    Effect.acquireRelease(
      // `NodeRuntime.runMain` takes care of signals.
      Effect.promise(() => openPool(configuration, { signals: "off" })),
      (pool) => Effect.promise(() => pool.close())
    ).pipe(
      Effect.map((pool) => ({
        callTool: (call: CallTool) =>
          asMcpError(
            Effect.tryPromise({ try: (signal) => pool.callTool({ ...call, signal }), catch: (error: unknown) => error })
          )
      }))
    )
  )
