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
 * Command lines, addresses and the last output of a process are for people who run the server, and not for a model, which is
 * somebody else's machine and pays by the word.
 */
const messageOf = ({ reason }: McpError.McpError): string => {
  switch (reason._tag) {
    // A tool's own words are for the model as they are; which server said them it knows.
    case "ToolError":
      return reason.text === "" ? reason.message : reason.text
    case "ConnectFailed":
      return `"${reason.server}" cannot be reached now. The call was not sent.`
    case "ConnectionLost":
      return `The connection to "${reason.server}" was lost. ${reason.delivery === "NotSent" ? "The call was not sent." : "It may have run."}`
    case "CircuitOpen":
      return `"${reason.server}" is down. The call was not sent.`
    default:
      return reason.message
  }
}

/**
 * The failure of a call to a server. It has the server's words about the call, and none about the server's process.
 *
 * @since 0.1.0
 */
export const fromMcpError = (error: McpError.McpError): ToolFailure => {
  const { reason } = error
  const failure = {
    error: reason._tag,
    message: messageOf(error),
    mayHaveRun: reason.delivery === "OutcomeUnknown",
    tryAgain: tryAgain(error)
  }
  return reason._tag === "CircuitOpen"
    ? { ...failure, retryAfterSeconds: Math.ceil(Duration.toSeconds(reason.retryAfter)) }
    : failure
}
