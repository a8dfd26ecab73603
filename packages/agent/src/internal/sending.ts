/**
 * Sends a call, and sends it again where that is safe: when it was not sent, and when it was lost on its way to a tool
 * that says it is read-only or idempotent or that takes a key. The key stays the same.
 */
import type { CallEngine, McpError, ToolResult } from "@scoped-mcp/core"
import { McpPool } from "@scoped-mcp/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { ToolEntry } from "./ToolEntry.ts"

export interface Sending {
  readonly entry: ToolEntry
  readonly arguments: Readonly<Record<string, unknown>>
  readonly idempotencyKey: string
  readonly onProgress: ((progress: CallEngine.Progress) => void) | undefined
  /** Told before each time it is sent. */
  readonly onAttempt: () => void
}

const maxAttempts = 3

/** Under which every call carries its key in `_meta`, for servers and gateways that look for it there. */
const idempotencyMeta = "scoped-mcp/idempotency-key"

/** A model waits no longer than this for a server that says when it is back; it hears of it instead. */
const patience = Duration.seconds(5)

const isRepeatable = ({ annotations, keyArgument }: ToolEntry): boolean =>
  annotations.readOnly || annotations.idempotent || keyArgument !== undefined

/** How long to wait before it is sent again; nothing when it must not be, or need not. */
const pauseBefore = (error: McpError.McpError, entry: ToolEntry, attempt: number): Duration.Duration | undefined => {
  const { reason } = error
  const backoff = Duration.millis(500 * 2 ** (attempt - 1))
  switch (reason._tag) {
    case "ConnectionLost":
      return reason.delivery === "NotSent" || isRepeatable(entry) ? backoff : undefined
    case "SessionExpired":
      return backoff
    case "CircuitOpen":
      return Duration.isLessThanOrEqualTo(reason.retryAfter, patience) ? reason.retryAfter : undefined
    default:
      return undefined
  }
}

export const send = (sending: Sending): Effect.Effect<ToolResult.ToolResult, McpError.McpError, McpPool.McpPool> => {
  const { entry, idempotencyKey, onAttempt, onProgress } = sending
  const args =
    entry.keyArgument === undefined ? sending.arguments : { ...sending.arguments, [entry.keyArgument]: idempotencyKey }
  const attempt = (count: number): Effect.Effect<ToolResult.ToolResult, McpError.McpError, McpPool.McpPool> =>
    Effect.flatMap(McpPool.McpPool, (pool) => {
      onAttempt()
      const meta = { [idempotencyMeta]: idempotencyKey }
      return pool.callTool({ server: entry.server, tool: entry.tool, arguments: args, meta, onProgress })
    }).pipe(
      Effect.catch((error) => {
        const pause = count < maxAttempts ? pauseBefore(error, entry, count) : undefined
        if (pause === undefined) return Effect.fail(error)
        return Effect.flatMap(Random.nextBetween(1, 1.5), (jitter) =>
          Effect.delay(attempt(count + 1), Duration.times(pause, jitter))
        )
      })
    )
  return attempt(1)
}
