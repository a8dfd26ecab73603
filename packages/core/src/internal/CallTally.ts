/** Counts calls by how they ended. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { McpError } from "../McpError.ts"
import type { CallCounts } from "../PoolStats.ts"

export interface CallTally {
  readonly count: (exit: Exit.Exit<unknown, McpError>) => void
  readonly counts: () => CallCounts
}

const kindOf = (cause: Cause.Cause<McpError>): keyof CallCounts => {
  const error = Cause.findErrorOption(cause)
  if (error._tag === "None") return Cause.hasInterrupts(cause) ? "cancelled" : "failed"
  switch (error.value.reason._tag) {
    case "ToolError":
      return "toolFailed"
    case "CallTimeout":
      return "timedOut"
    default:
      return error.value.delivery === "NotSent" ? "refused" : "failed"
  }
}

export const make = (): CallTally => {
  const counts = { succeeded: 0, toolFailed: 0, timedOut: 0, cancelled: 0, refused: 0, failed: 0 }
  return {
    count: (exit) => {
      counts[Exit.isSuccess(exit) ? "succeeded" : kindOf(exit.cause)]++
    },
    counts: () => ({ ...counts })
  }
}
