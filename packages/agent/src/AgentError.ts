/**
 * How a turn of an agent can fail. Failures of tools are none: the model is told of them, and goes on.
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * The model was asked as often as a turn allows and still wanted tools.
 *
 * @since 0.1.0
 */
export class StepLimit extends Schema.TaggedError<StepLimit>("@scoped-mcp/agent/StepLimit")("StepLimit", {
  maxSteps: Schema.Finite
}) {
  override get message() {
    return `The model still wanted tools after ${this.maxSteps} steps; raise maxSteps, or ask for less.`
  }
}

/**
 * The turn took too long. Calls that ran were cancelled on their servers.
 *
 * @since 0.1.0
 */
export class TurnTimeout extends Schema.TaggedError<TurnTimeout>("@scoped-mcp/agent/TurnTimeout")("TurnTimeout", {
  limit: Schema.Duration
}) {
  override get message() {
    return `The turn took longer than ${Duration.format(this.limit)} (turnTimeout); what ran was cancelled.`
  }
}

/**
 * The model could not be asked, or its answer was unusable, after every repetition that made sense.
 *
 * @since 0.1.0
 */
export class ModelFailed extends Schema.TaggedError<ModelFailed>("@scoped-mcp/agent/ModelFailed")("ModelFailed", {
  error: AiError.AiError,
  attempts: Schema.Finite
}) {
  override get message() {
    return `The model failed (attempt ${this.attempts}): ${this.error.message}`
  }
}

/**
 * The model stopped before its answer was whole. No tool that it asked for in it was called.
 *
 * @since 0.1.0
 */
export class ModelStopped extends Schema.TaggedError<ModelStopped>("@scoped-mcp/agent/ModelStopped")("ModelStopped", {
  /** Its own reason, such as `length` or `content-filter`. */
  why: Schema.String,
  /** What it had said of its answer. */
  text: Schema.String
}) {
  override get message() {
    return `The model stopped before its answer was whole (${this.why}).`
  }
}

/**
 * The scope of the agent has closed.
 *
 * @since 0.1.0
 */
export class AgentClosed extends Schema.TaggedError<AgentClosed>("@scoped-mcp/agent/AgentClosed")("AgentClosed", {}) {
  override get message() {
    return "The agent is closed; use it only inside its scope."
  }
}

/** @since 0.1.0 */
export const Reason = Schema.Union([StepLimit, TurnTimeout, ModelFailed, ModelStopped, AgentClosed])

/** @since 0.1.0 */
export type Reason = typeof Reason.Type

/**
 * The one error of an agent. What was done before it happened stays in the conversation.
 *
 * @since 0.1.0
 */
export class AgentError extends Schema.TaggedError<AgentError>("@scoped-mcp/agent/AgentError")("AgentError", {
  agent: Schema.String,
  reason: Reason
}) {
  override readonly cause = this.reason
  override get message(): string {
    return `${this.agent}: ${this.reason.message}`
  }
}
