/** How a pool hears of a failed connect at once, while what had been opened is still being released. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { McpError } from "../McpError.ts"

export class ConnectReport extends Context.Service<
  ConnectReport,
  {
    readonly failed: (error: McpError) => Effect.Effect<void>
    /** Counted from 1 since the server was last ready. */
    readonly attempt: number
  }
>()("@scoped-mcp/core/internal/ConnectReport") {}
