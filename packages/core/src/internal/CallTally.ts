/** Counts calls by how they ended, and how long the answered ones took. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { McpError } from "../McpError.ts"
import type { CallCounts } from "../PoolStats.ts"
import * as LatencyHistogram from "./LatencyHistogram.ts"

export interface CallTally {
  readonly count: (exit: Exit.Exit<unknown, McpError>, millis: number) => void
  readonly counts: () => CallCounts
  readonly latency: LatencyHistogram.LatencyHistogram
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
  const latency = LatencyHistogram.make()
  return {
    count: (exit, millis) => {
      const kind = Exit.isSuccess(exit) ? "succeeded" : kindOf(exit.cause)
      counts[kind]++
      if (kind === "succeeded" || kind === "toolFailed") latency.record(millis)
    },
    counts: () => ({ ...counts }),
    latency
  }
}
