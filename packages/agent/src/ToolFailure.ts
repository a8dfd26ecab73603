/**
 * What a model is told of a call that did not succeed: what happened, whether the tool may have run, and what to do next.
 *
 * @since 0.1.0
 */
import type { McpError } from "@scoped-mcp/core"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * What to do after a failure.
 *
 * - `now`: the same call again, at once. `later`: the same call again, after a while.
 * - `differently`: other arguments, or another tool.
 * - `afterChecking`: it may have run. See whether it did before doing it again.
 * - `never`: nothing that a model can do changes it.
 *
 * @since 0.1.0
 */
export const TryAgain = Schema.Literals(["now", "later", "differently", "afterChecking", "never"])

/** @since 0.1.0 */
export type TryAgain = typeof TryAgain.Type

/**
 * The failure of a tool call as a model sees it. `error` is the tag of the `McpError`, or `Denied`, `NotApproved`,
 * `BudgetSpent`, `InvalidArguments`, `Interrupted`.
 *
 * @since 0.1.0
 */
export const ToolFailure = Schema.Struct({
  error: Schema.String,
  message: Schema.String,
  mayHaveRun: Schema.Boolean,
  tryAgain: TryAgain,
  retryAfterSeconds: Schema.optional(Schema.Finite)
})

/** @since 0.1.0 */
export type ToolFailure = typeof ToolFailure.Type

const tryAgain = ({ reason }: McpError.McpError): TryAgain => {
  if (reason.delivery === "OutcomeUnknown") return "afterChecking"
  switch (reason._tag) {
    case "ConnectionLost":
    case "SessionExpired":
      return "now"
    case "ConnectFailed":
    case "AcquireTimeout":
    case "CallTimeout":
    case "CircuitOpen":
    case "Overloaded":
    case "Suspended":
      return "later"
    case "InvalidResult":
    case "MessageTooLarge":
    case "ProtocolError":
    case "ToolError":
    case "UnknownTool":
    case "UnknownServer":
      return "differently"
    default:
      return "never"
  }
}

/**
 * The failure of a call to a server.
 *
 * @since 0.1.0
 */
export const fromMcpError = (error: McpError.McpError): ToolFailure => {
  const { reason } = error
  const failure = {
    error: reason._tag,
    // A tool's own words are for the model as they are; which server said them it knows.
    message: reason._tag === "ToolError" && reason.text !== "" ? reason.text : reason.message,
    mayHaveRun: reason.delivery === "OutcomeUnknown",
    tryAgain: tryAgain(error)
  }
  return reason._tag === "CircuitOpen"
    ? { ...failure, retryAfterSeconds: Math.ceil(Duration.toSeconds(reason.retryAfter)) }
    : failure
}
