/**
 * What can go wrong, as classes: one for each reason, all of them an {@link McpError}. Fields are those of the runtime's
 * own errors; lengths of time are milliseconds.
 *
 * @since 0.1.0
 */

/**
 * What is known of a failed request. `NotSent`: it never left this process, or the server provably refused it unread.
 * `OutcomeUnknown`: it was handed over and no answer came; the tool may have run. `Answered`: the server answered.
 *
 * @since 0.1.0
 */
export type Delivery = "NotSent" | "OutcomeUnknown" | "Answered"

/**
 * Everything that a pool's promises are rejected with, except `ConfigError` and the abort reason of a caller.
 *
 * @since 0.1.0
 */
export class McpError extends Error {
  /** The name of the class; survives minifying and structured clone. */
  readonly reason: string
  readonly server: string
  /** Only `NotSent` is always safe to send again. */
  readonly delivery: Delivery

  constructor(
    reason: string,
    message: string,
    fields: { readonly server: string; readonly delivery: Delivery },
    cause?: unknown
  ) {
    super(message, cause === undefined ? undefined : { cause })
    Object.assign(this, fields)
    this.reason = reason
    this.name = reason
    this.server = fields.server
    this.delivery = fields.delivery
  }
}

/**
 * A file, or an object given in its place, that is no configuration: one entry for each mistake.
 *
 * @since 0.1.0
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError"
  readonly file: string
  readonly problems: ReadonlyArray<{ readonly path: string; readonly expected: string }>

  constructor(
    message: string,
    file: string,
    problems: ReadonlyArray<{ readonly path: string; readonly expected: string }>
  ) {
    super(message)
    this.file = file
    this.problems = problems
  }
}

type Request = { readonly server: string; readonly delivery: Delivery }

const named =
  <A extends object = object>() =>
  <const Reason extends string>(
    reason: Reason
  ): new (
    message: string,
    fields: A & Request,
    cause?: unknown
  ) => McpError & Readonly<A> & { readonly reason: Reason } =>
    class extends McpError {
      constructor(message: string, fields: Request, cause?: unknown) {
        super(reason, message, fields, cause)
      }
    } as never

/**
 * The connection could not be opened; `stderr` and `noise` are what the server printed.
 *
 * @since 0.1.0
 */
export class ConnectFailed extends named<{
  phase: "Start" | "Handshake" | "Build"
  target: string
  detail: string
  exitCode?: number
  signal?: string
  stderr: string
  noise: ReadonlyArray<string>
  attempt: number
}>()("ConnectFailed") {}

/**
 * No place for the call, or no open connection, within the whole wait.
 *
 * @since 0.1.0
 */
export class AcquireTimeout extends named<{ waited: number }>()("AcquireTimeout") {}

/**
 * Nothing was heard for the idle limit, or the call took longer than its ceiling.
 *
 * @since 0.1.0
 */
export class CallTimeout extends named<{ request: string; phase: "Idle" | "Total"; limit: number }>()("CallTimeout") {}

/**
 * The queue is full, or every place is taken and overload is `reject`.
 *
 * @since 0.1.0
 */
export class Overloaded extends named<{ scope: string; running: number; waiting: number }>()("Overloaded") {}

/**
 * The server failed so often that it is left alone until `retryAfter` has passed.
 *
 * @since 0.1.0
 */
export class CircuitOpen extends named<{ retryAfter: number; lastFailure: string }>()("CircuitOpen") {}

/**
 * The connection is open, but fails its health checks; `failures` of them in a row.
 *
 * @since 0.1.0
 */
export class Unhealthy extends named<{ check: string; detail: string; failures: number }>()("Unhealthy") {}

/**
 * The connection ended while the request was on its way.
 *
 * @since 0.1.0
 */
export class ConnectionLost extends named<{ detail: string; exitCode?: number; signal?: string; stderr: string }>()(
  "ConnectionLost"
) {}

/**
 * The server no longer knows our session.
 *
 * @since 0.1.0
 */
export class SessionExpired extends named()("SessionExpired") {}

/**
 * The server wants credentials, or other ones than it got. With `authorizationUrl` a person has to allow it in a browser.
 *
 * @since 0.1.0
 */
export class AuthRequired extends named<{
  status: number
  challenge?: string
  authorizationUrl?: string
  scope?: string
  detail?: string
}>()("AuthRequired") {}

/**
 * The server answered with an error of its own (`code`, `data`), or with something the protocol does not allow.
 *
 * @since 0.1.0
 */
export class ProtocolError extends named<{
  request: string
  status?: number
  code?: number
  detail: string
  data?: unknown
}>()("ProtocolError") {}

/**
 * No credentials could be had for the server. `code` is the authorisation server's own error.
 *
 * @since 0.1.0
 */
export class AuthorizationFailed extends named<{
  step: "Store" | "Prepare" | "Consent" | "Token" | "Refresh"
  code?: string
  detail: string
  transient: boolean
}>()("AuthorizationFailed") {}

/**
 * The arguments cannot be written as JSON; `detail` names the place.
 *
 * @since 0.1.0
 */
export class InvalidArguments extends named<{ request: string; detail: string }>()("InvalidArguments") {}

/**
 * The server asked for something in the middle of a request (a person, a model, the roots), and nobody answers such here.
 *
 * @since 0.1.0
 */
export class InputRequired extends named<{ request: string; detail: string }>()("InputRequired") {}

/**
 * The tool ran and reports that it failed; `result` is everything it sent.
 *
 * @since 0.1.0
 */
export class ToolError extends named<{ tool: string; text: string; result: unknown }>()("ToolError") {}

/**
 * The answer does not have the shape that it must have.
 *
 * @since 0.1.0
 */
export class InvalidResult extends named<{ request: string; detail: string }>()("InvalidResult") {}

/**
 * A skill, or a file of it, is not what the server says it is, and must not be used.
 *
 * @since 0.1.0
 */
export class SkillRejected extends named<{
  uri: string
  check: "Entry" | "Unlisted" | "Size" | "Digest" | "Frontmatter"
  detail: string
}>()("SkillRejected") {}

/**
 * A message is larger than its limit.
 *
 * @since 0.1.0
 */
export class MessageTooLarge extends named<{ request: string; direction: "Request" | "Response"; limit: number }>()(
  "MessageTooLarge"
) {}

/**
 * The pool has no server of that name.
 *
 * @since 0.1.0
 */
export class UnknownServer extends named<{ nearest: ReadonlyArray<string> }>()("UnknownServer") {}

/**
 * The server has no tool of that name.
 *
 * @since 0.1.0
 */
export class UnknownTool extends named<{ tool: string; nearest: ReadonlyArray<string> }>()("UnknownTool") {}

/**
 * The server is switched off by its configuration.
 *
 * @since 0.1.0
 */
export class ServerDisabled extends named<{ why: string }>()("ServerDisabled") {}

/**
 * An operator has suspended the server.
 *
 * @since 0.1.0
 */
export class Suspended extends named()("Suspended") {}

/**
 * The pool has been closed or stopped.
 *
 * @since 0.1.0
 */
export class PoolClosed extends named<{ state: "Stopped" | "Closed" }>()("PoolClosed") {}

/**
 * A connection on loan was used after it had been given back.
 *
 * @since 0.1.0
 */
export class LeaseEnded extends named()("LeaseEnded") {}

/**
 * There is no pool for a namespace: its name is not allowed, or there are too many.
 *
 * @since 0.1.0
 */
export class NamespaceRefused extends named<{ namespace: string; detail: string }>()("NamespaceRefused") {}

/** Every class by the name of its reason. */
export const byReason = {
  ConnectFailed,
  AcquireTimeout,
  CallTimeout,
  Overloaded,
  CircuitOpen,
  Unhealthy,
  ConnectionLost,
  SessionExpired,
  AuthRequired,
  AuthorizationFailed,
  InvalidArguments,
  InputRequired,
  ProtocolError,
  ToolError,
  InvalidResult,
  SkillRejected,
  MessageTooLarge,
  UnknownServer,
  UnknownTool,
  ServerDisabled,
  Suspended,
  PoolClosed,
  LeaseEnded,
  NamespaceRefused
}

/**
 * What `ask` is rejected with when the model gave no answer. Failures of tools are none: the model is told of them.
 *
 * - `StepLimit`: it was asked as often as a turn allows, and still wanted tools.
 * - `TurnTimeout`: the turn took too long; what ran was cancelled.
 * - `ModelFailed`: it could not be asked, or its answer was unusable, after every repetition that made sense.
 * - `ModelStopped`: it stopped before its answer was whole.
 * - `AgentClosed`: the chat, or its pool, has been closed.
 *
 * @since 0.1.0
 */
export class AgentError extends Error {
  override readonly name = "AgentError"
  readonly reason: "StepLimit" | "TurnTimeout" | "ModelFailed" | "ModelStopped" | "AgentClosed"
  /** Its name and an id of its own. */
  readonly agent: string

  constructor(message: string, fields: Pick<AgentError, "reason" | "agent">, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.reason = fields.reason
    this.agent = fields.agent
  }
}
