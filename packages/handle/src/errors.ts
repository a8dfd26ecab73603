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

/** A file, or an object given in its place, that is no configuration: one entry for each mistake. */
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

type Fields<A> = McpError & Readonly<A>

const named = <A extends object = object>(
  reason: string
): new (
  message: string,
  fields: A & { readonly server: string; readonly delivery: Delivery },
  cause?: unknown
) => Fields<A> => {
  const Class = class extends McpError {
    constructor(message: string, fields: { readonly server: string; readonly delivery: Delivery }, cause?: unknown) {
      super(reason, message, fields, cause)
    }
  }
  return Class as never
}

/**
 * The connection could not be opened; `stderr` and `noise` are what the server printed.
 *
 * @since 0.1.0
 */
export class ConnectFailed extends named<{ phase: "Start" | "Handshake" | "Build"; target: string; detail: string; exitCode?: number; signal?: string; stderr: string; noise: ReadonlyArray<string>; attempt: number }>("ConnectFailed") {}

/**
 * No place for the call, or no open connection, within the whole wait.
 *
 * @since 0.1.0
 */
export class AcquireTimeout extends named<{ waited: number }>("AcquireTimeout") {}

/**
 * Nothing was heard for the idle limit, or the call took longer than its ceiling.
 *
 * @since 0.1.0
 */
export class CallTimeout extends named<{ request: string; phase: "Idle" | "Total"; limit: number }>("CallTimeout") {}

/**
 * The queue is full, or every place is taken and overload is `reject`.
 *
 * @since 0.1.0
 */
export class Overloaded extends named<{ scope: string; running: number; waiting: number }>("Overloaded") {}

/**
 * The server failed so often that it is left alone until `retryAfter` has passed.
 *
 * @since 0.1.0
 */
export class CircuitOpen extends named<{ retryAfter: number; lastFailure: string }>("CircuitOpen") {}

/**
 * The connection ended while the request was on its way.
 *
 * @since 0.1.0
 */
export class ConnectionLost extends named<{ detail: string; exitCode?: number; signal?: string; stderr: string }>("ConnectionLost") {}

/**
 * The server no longer knows our session.
 *
 * @since 0.1.0
 */
export class SessionExpired extends named<object>("SessionExpired") {}

/**
 * The server wants credentials, or other ones than it got.
 *
 * @since 0.1.0
 */
export class AuthRequired extends named<{ status: number; challenge?: string }>("AuthRequired") {}

/**
 * The server answered with an error of its own (`code`, `data`), or with something the protocol does not allow.
 *
 * @since 0.1.0
 */
export class ProtocolError extends named<{ request: string; code?: number; detail: string; data?: unknown }>("ProtocolError") {}

/**
 * The tool ran and reports that it failed; `result` is everything it sent.
 *
 * @since 0.1.0
 */
export class ToolError extends named<{ tool: string; text: string; result: unknown }>("ToolError") {}

/**
 * The answer does not have the shape that it must have.
 *
 * @since 0.1.0
 */
export class InvalidResult extends named<{ request: string; detail: string }>("InvalidResult") {}

/**
 * A message is larger than its limit.
 *
 * @since 0.1.0
 */
export class MessageTooLarge extends named<{ request: string; direction: "Request" | "Response"; limit: number }>("MessageTooLarge") {}

/**
 * The pool has no server of that name.
 *
 * @since 0.1.0
 */
export class UnknownServer extends named<{ nearest: ReadonlyArray<string> }>("UnknownServer") {}

/**
 * The server has no tool of that name.
 *
 * @since 0.1.0
 */
export class UnknownTool extends named<{ tool: string; nearest: ReadonlyArray<string> }>("UnknownTool") {}

/**
 * The server is switched off by its configuration.
 *
 * @since 0.1.0
 */
export class ServerDisabled extends named<{ why: string }>("ServerDisabled") {}

/**
 * An operator has suspended the server.
 *
 * @since 0.1.0
 */
export class Suspended extends named<object>("Suspended") {}

/**
 * The pool has been closed or stopped.
 *
 * @since 0.1.0
 */
export class PoolClosed extends named<{ state: "Stopped" | "Closed" }>("PoolClosed") {}

/** Every class by the name of its reason. */
export const byReason = {
  ConnectFailed,
  AcquireTimeout,
  CallTimeout,
  Overloaded,
  CircuitOpen,
  ConnectionLost,
  SessionExpired,
  AuthRequired,
  ProtocolError,
  ToolError,
  InvalidResult,
  MessageTooLarge,
  UnknownServer,
  UnknownTool,
  ServerDisabled,
  Suspended,
  PoolClosed
}
