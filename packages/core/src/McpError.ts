/**
 * What can go wrong between a program and a server: one error, {@link McpError}, with a `reason` that says what
 * happened, to which server, what to try, and how far the request got.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * What is known of a failed request.
 *
 * - `NotSent`: it never left this process, or the server provably refused it unread. Sending it again is safe.
 * - `OutcomeUnknown`: it was handed to the pipe or socket and no answer came. The tool may have run.
 * - `Answered`: the server answered, with an error or with something unusable.
 *
 * @since 0.1.0
 */
export const Delivery = Schema.Literals(["NotSent", "OutcomeUnknown", "Answered"])

/** @since 0.1.0 */
export type Delivery = typeof Delivery.Type

/**
 * The step of opening a connection that failed: starting the process or dialling the address (`Start`), the protocol's
 * handshake (`Handshake`), or building a layer that the caller supplied (`Build`).
 *
 * @since 0.1.0
 */
export const ConnectPhase = Schema.Literals(["Start", "Handshake", "Build"])

/** @since 0.1.0 */
export type ConnectPhase = typeof ConnectPhase.Type

const seconds = (duration: Duration.Duration): string => `${Number((Duration.toMillis(duration) / 1000).toFixed(2))} s`

const tail = (stderr: string): string => (stderr === "" ? "" : ` Last output on stderr: ${stderr}`)

const ended = (exit: { readonly exitCode?: number | undefined; readonly signal?: string | undefined }): string =>
  exit.signal !== undefined
    ? ` Its process was ended by ${exit.signal}.`
    : exit.exitCode !== undefined
      ? ` Its process exited with code ${exit.exitCode}.`
      : ""

const nearestHint = (nearest: ReadonlyArray<string>): string =>
  nearest.length === 0 ? "" : ` Did you mean ${nearest.map((name) => `"${name}"`).join(" or ")}?`

const sendAgain = (delivery: Delivery): string =>
  delivery === "NotSent"
    ? " The request was not sent; it is safe to send it again."
    : delivery === "OutcomeUnknown"
      ? " It may have run; it was not sent again."
      : ""

/**
 * The connection could not be opened. `target` is the resolved command line or the address, without secrets; `stderr`
 * and `noise` (lines on stdout that are not protocol messages) are the last and first lines seen, scrubbed.
 *
 * @since 0.1.0
 */
export class ConnectFailed extends Schema.TaggedError<ConnectFailed>("@scoped-mcp/core/ConnectFailed")(
  "ConnectFailed",
  {
    server: Schema.String,
    phase: ConnectPhase,
    target: Schema.String,
    detail: Schema.String,
    exitCode: Schema.optional(Schema.Finite),
    signal: Schema.optional(Schema.String),
    stderr: Schema.String,
    noise: Schema.Array(Schema.String),
    /** Which attempt since the server was last ready, counted from 1. */
    attempt: Schema.Finite
  }
) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    const noise = this.noise.length === 0 ? "" : ` It printed on stdout: ${this.noise.join(" | ")}`
    return `Could not connect to "${this.server}" (${this.target}): ${this.phase.toLowerCase()} failed, ${this.detail}.${ended(this)}${tail(this.stderr)}${noise}`
  }
}

/**
 * Every place for a call was taken for the whole wait, or the connection was not open by its end.
 *
 * @since 0.1.0
 */
export class AcquireTimeout extends Schema.TaggedError<AcquireTimeout>("@scoped-mcp/core/AcquireTimeout")(
  "AcquireTimeout",
  { server: Schema.String, waited: Schema.Duration }
) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `A call to "${this.server}" found no free place, or no open connection, within ${seconds(this.waited)}; raise maxConcurrency or acquireTimeout, or call it less.`
  }
}

/**
 * The call took too long: nothing was heard for the idle limit (`Idle`, re-armed by progress), or its total ceiling
 * passed (`Total`). The server was told that nobody waits any more.
 *
 * @since 0.1.0
 */
export class CallTimeout extends Schema.TaggedError<CallTimeout>("@scoped-mcp/core/CallTimeout")("CallTimeout", {
  server: Schema.String,
  request: Schema.String,
  phase: Schema.Literals(["Idle", "Total"]),
  limit: Schema.Duration,
  delivery: Delivery
}) {
  override get message() {
    const what =
      this.phase === "Idle"
        ? `nothing was heard for ${seconds(this.limit)} (callIdleTimeout)`
        : `it took longer than ${seconds(this.limit)} (callTimeout)`
    return `${this.request} on "${this.server}" was given up: ${what}.${sendAgain(this.delivery)}`
  }
}

/**
 * The queue in front of a server or of the pool is full, or overload is set to `reject` and every place is taken.
 *
 * @since 0.1.0
 */
export class Overloaded extends Schema.TaggedError<Overloaded>("@scoped-mcp/core/Overloaded")("Overloaded", {
  server: Schema.String,
  scope: Schema.Literals(["Server", "Pool"]),
  running: Schema.Finite,
  waiting: Schema.Finite
}) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `Too much work for ${this.scope === "Server" ? `"${this.server}"` : "the pool"}: ${this.running} calls run and ${this.waiting} wait; call less, or raise maxConcurrency or maxWaiting.`
  }
}

/**
 * The server failed so often that it is left alone until `retryAfter` has passed.
 *
 * @since 0.1.0
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("@scoped-mcp/core/CircuitOpen")("CircuitOpen", {
  server: Schema.String,
  retryAfter: Schema.Duration,
  lastFailure: Schema.String
}) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `"${this.server}" is down and is tried again in ${seconds(this.retryAfter)}. Last failure: ${this.lastFailure}`
  }
}

/**
 * The connection is open, but fails its health checks; `failures` of them in a row.
 *
 * @since 0.1.0
 */
export class Unhealthy extends Schema.TaggedError<Unhealthy>("@scoped-mcp/core/Unhealthy")("Unhealthy", {
  server: Schema.String,
  check: Schema.String,
  detail: Schema.String,
  failures: Schema.Finite
}) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `"${this.server}" fails its health check "${this.check}": ${this.detail}.`
  }
}

/**
 * The connection ended while the request was on its way. The next call opens a new one.
 *
 * @since 0.1.0
 */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>("@scoped-mcp/core/ConnectionLost")(
  "ConnectionLost",
  {
    server: Schema.String,
    detail: Schema.String,
    exitCode: Schema.optional(Schema.Finite),
    signal: Schema.optional(Schema.String),
    stderr: Schema.String,
    delivery: Delivery
  }
) {
  override get message() {
    return `The connection to "${this.server}" was lost: ${this.detail}.${ended(this)}${sendAgain(this.delivery)}${tail(this.stderr)}`
  }
}

/**
 * The server no longer knows our session and therefore did not read the request.
 *
 * @since 0.1.0
 */
export class SessionExpired extends Schema.TaggedError<SessionExpired>("@scoped-mcp/core/SessionExpired")(
  "SessionExpired",
  { server: Schema.String }
) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `"${this.server}" has ended our session; the next call starts a new one.`
  }
}

/**
 * The server wants credentials, or other ones than it got. With `authorizationUrl` a person has to allow it in a browser:
 * the address is good until the authorisation's own limit, and the calls after that use what was allowed.
 *
 * @since 0.1.0
 */
export class AuthRequired extends Schema.TaggedError<AuthRequired>("@scoped-mcp/core/AuthRequired")("AuthRequired", {
  server: Schema.String,
  status: Schema.Finite,
  challenge: Schema.optional(Schema.String),
  /** To be opened in a browser. It holds no secret. */
  authorizationUrl: Schema.optional(Schema.String),
  /** What the server wants to be allowed, names separated by blanks. */
  scope: Schema.optional(Schema.String),
  /** Why the credentials at hand were of no use. */
  detail: Schema.optional(Schema.String)
}) {
  /** With 401 the request was not looked at; with 403 it was. */
  get delivery(): Delivery {
    return this.status === 401 ? "NotSent" : "Answered"
  }
  override get message() {
    const scope = this.scope === undefined ? "" : ` for "${this.scope}"`
    const detail = this.detail === undefined ? "" : ` (${this.detail})`
    return this.authorizationUrl === undefined
      ? `"${this.server}" refused the request with HTTP ${this.status}${scope}${detail}; set or renew its auth or its Authorization header.`
      : `"${this.server}" has to be allowed by a person${scope}${detail}; open ${this.authorizationUrl} and call again.`
  }
}

/**
 * The step of an authorisation that failed: what is stored (`Store`), reading what the servers say of themselves and
 * registering (`Prepare`), a person's consent (`Consent`), or asking for tokens, for the first time (`Token`) or again
 * (`Refresh`).
 *
 * @since 0.1.0
 */
export const AuthorizationStep = Schema.Literals(["Store", "Prepare", "Consent", "Token", "Refresh"])

/** @since 0.1.0 */
export type AuthorizationStep = typeof AuthorizationStep.Type

/** The steps, as a reader of an error knows them. */
const authorizationSteps: Readonly<Record<AuthorizationStep, string>> = {
  Store: "taking its turn at the stored credentials",
  Prepare: "looking up its authorisation server or registering there",
  Consent: "asking a person",
  Token: "getting a token",
  Refresh: "renewing its token"
}

/**
 * No credentials could be had for the server, whose request was therefore not sent, or not sent again. `code` is the
 * authorisation server's own error, `access_denied` for instance.
 *
 * @since 0.1.0
 */
export class AuthorizationFailed extends Schema.TaggedError<AuthorizationFailed>(
  "@scoped-mcp/core/AuthorizationFailed"
)("AuthorizationFailed", {
  server: Schema.String,
  step: AuthorizationStep,
  code: Schema.optional(Schema.String),
  detail: Schema.String,
  /** Nothing says that it cannot succeed a little later. */
  transient: Schema.Boolean
}) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    const code = this.code === undefined ? "" : ` (${this.code})`
    const hint = this.transient ? "it is tried again by the next call" : "check its auth, and allow it again"
    return `"${this.server}" could not be authorised: ${authorizationSteps[this.step]} failed${code}, ${this.detail}; ${hint}.`
  }
}

/**
 * The server answered with a JSON-RPC error (`code` and `data` are its own), or with HTTP or JSON that the protocol does
 * not allow (`code` is then absent).
 *
 * @since 0.1.0
 */
export class ProtocolError extends Schema.TaggedError<ProtocolError>("@scoped-mcp/core/ProtocolError")(
  "ProtocolError",
  {
    server: Schema.String,
    request: Schema.String,
    code: Schema.optional(Schema.Finite),
    /** Of the answer over HTTP, where it was not one of success. */
    status: Schema.optional(Schema.Finite),
    detail: Schema.String,
    data: Schema.optional(Schema.Unknown),
    delivery: Delivery
  }
) {
  override get message() {
    const code = this.code === undefined ? "" : ` (code ${this.code})`
    return `${this.request} on "${this.server}" was refused${code}: ${this.detail}${sendAgain(this.delivery)}`
  }
}

/**
 * The caller's arguments cannot be written as JSON; `detail` names the place. Nothing was sent.
 *
 * @since 0.1.0
 */
export class InvalidArguments extends Schema.TaggedError<InvalidArguments>("@scoped-mcp/core/InvalidArguments")(
  "InvalidArguments",
  { server: Schema.String, request: Schema.String, detail: Schema.String }
) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `${this.request} was not sent to "${this.server}": ${this.detail}`
  }
}

/**
 * The server asked for something in the middle of a request (an answer of a person or of a model, the roots) and could
 * not be given it: the host has no handler for it, the handler failed, or it asked too often.
 *
 * @since 0.1.0
 */
export class InputRequired extends Schema.TaggedError<InputRequired>("@scoped-mcp/core/InputRequired")(
  "InputRequired",
  { server: Schema.String, request: Schema.String, detail: Schema.String }
) {
  readonly delivery: Delivery = "Answered"
  override get message() {
    return `${this.request} on "${this.server}" was not finished, because it asks the host for input: ${this.detail}`
  }
}

/**
 * The tool ran and reports that it failed. `text` is its own explanation; `result` is everything it sent.
 *
 * @since 0.1.0
 */
export class ToolError extends Schema.TaggedError<ToolError>("@scoped-mcp/core/ToolError")("ToolError", {
  server: Schema.String,
  tool: Schema.String,
  text: Schema.String,
  result: Schema.Unknown
}) {
  readonly delivery: Delivery = "Answered"
  override get message() {
    return `Tool "${this.tool}" of "${this.server}" failed: ${this.text}`
  }
}

/**
 * The answer does not have the shape that the protocol, or the caller's Schema, asks for.
 *
 * @since 0.1.0
 */
export class InvalidResult extends Schema.TaggedError<InvalidResult>("@scoped-mcp/core/InvalidResult")(
  "InvalidResult",
  { server: Schema.String, request: Schema.String, detail: Schema.String }
) {
  readonly delivery: Delivery = "Answered"
  override get message() {
    return `${this.request} on "${this.server}" was answered with something unusable: ${this.detail}`
  }
}

/**
 * A skill, or a file of it, is not what the server says it is, and must not be used: the entry breaks the rules
 * (`Entry`), it does not list the file (`Unlisted`), or the file has another size, digest or frontmatter.
 *
 * @since 0.1.0
 */
export class SkillRejected extends Schema.TaggedError<SkillRejected>("@scoped-mcp/core/SkillRejected")(
  "SkillRejected",
  {
    server: Schema.String,
    uri: Schema.String,
    check: Schema.Literals(["Entry", "Unlisted", "Size", "Digest", "Frontmatter"]),
    detail: Schema.String
  }
) {
  get delivery(): Delivery {
    return this.check === "Entry" || this.check === "Unlisted" ? "NotSent" : "Answered"
  }
  override get message() {
    return `The skill ${this.uri} of "${this.server}" was rejected (${this.check.toLowerCase()}): ${this.detail}. Do not use it; list the skills again if the server may have changed it.`
  }
}

/**
 * A message is larger than its limit: ours was not sent, or the server's was dropped while it arrived.
 *
 * @since 0.1.0
 */
export class MessageTooLarge extends Schema.TaggedError<MessageTooLarge>("@scoped-mcp/core/MessageTooLarge")(
  "MessageTooLarge",
  {
    server: Schema.String,
    request: Schema.String,
    direction: Schema.Literals(["Request", "Response"]),
    limit: Schema.Finite,
    delivery: Delivery
  }
) {
  override get message() {
    const option = this.direction === "Request" ? "maxRequestBytes" : "maxMessageBytes"
    return `The ${this.direction.toLowerCase()} of ${this.request} on "${this.server}" is larger than ${this.limit} bytes (${option}).`
  }
}

/**
 * The pool has no server of that name.
 *
 * @since 0.1.0
 */
export class UnknownServer extends Schema.TaggedError<UnknownServer>("@scoped-mcp/core/UnknownServer")(
  "UnknownServer",
  { server: Schema.String, nearest: Schema.Array(Schema.String) }
) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `There is no server named "${this.server}".${nearestHint(this.nearest)}`
  }
}

/**
 * The server has no tool of that name.
 *
 * @since 0.1.0
 */
export class UnknownTool extends Schema.TaggedError<UnknownTool>("@scoped-mcp/core/UnknownTool")("UnknownTool", {
  server: Schema.String,
  tool: Schema.String,
  nearest: Schema.Array(Schema.String)
}) {
  readonly delivery: Delivery = "Answered"
  override get message() {
    return `"${this.server}" has no tool named "${this.tool}".${nearestHint(this.nearest)}`
  }
}

/**
 * The server is switched off by its configuration, for the reason given there (a missing variable, say).
 *
 * @since 0.1.0
 */
export class ServerDisabled extends Schema.TaggedError<ServerDisabled>("@scoped-mcp/core/ServerDisabled")(
  "ServerDisabled",
  { server: Schema.String, why: Schema.String }
) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `"${this.server}" is disabled: ${this.why}`
  }
}

/**
 * An operator has suspended the server, or is draining it; `resume` lets calls through again.
 *
 * @since 0.1.0
 */
export class Suspended extends Schema.TaggedError<Suspended>("@scoped-mcp/core/Suspended")("Suspended", {
  server: Schema.String
}) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `"${this.server}" is suspended; it takes no new calls until it is resumed.`
  }
}

/**
 * The pool, or the connection used directly, has been closed or stopped.
 *
 * @since 0.1.0
 */
export class PoolClosed extends Schema.TaggedError<PoolClosed>("@scoped-mcp/core/PoolClosed")("PoolClosed", {
  server: Schema.String,
  state: Schema.Literals(["Stopped", "Closed"])
}) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return this.state === "Stopped"
      ? `The pool is stopped, so "${this.server}" was not called; start it again first.`
      : `The pool is closed, so "${this.server}" was not called; use it only inside its scope.`
  }
}

/**
 * A connection on loan was used after it had been given back.
 *
 * @since 0.1.0
 */
export class LeaseEnded extends Schema.TaggedError<LeaseEnded>("@scoped-mcp/core/LeaseEnded")("LeaseEnded", {
  server: Schema.String
}) {
  readonly delivery: Delivery = "NotSent"
  override get message() {
    return `The connection to "${this.server}" has been given back; use it only inside the scope it was lent to.`
  }
}

/** @since 0.1.0 */
export const Reason = Schema.Union([
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
  ProtocolError,
  InvalidArguments,
  InputRequired,
  ToolError,
  InvalidResult,
  SkillRejected,
  MessageTooLarge,
  UnknownServer,
  UnknownTool,
  ServerDisabled,
  Suspended,
  PoolClosed,
  LeaseEnded
])

/**
 * Everything an {@link McpError} can be about; handle one with `Effect.catchReason("McpError", "CallTimeout", …)`.
 *
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The one error of this package's operations.
 *
 * @since 0.1.0
 */
export class McpError extends Schema.TaggedError<McpError>("@scoped-mcp/core/McpError")("McpError", {
  reason: Reason
}) {
  override readonly cause = this.reason
  override get message(): string {
    return this.reason.message
  }
  /** The server concerned. */
  get server(): string {
    return this.reason.server
  }
  /** How far the request got; only `NotSent` is always safe to send again. */
  get delivery(): Delivery {
    return this.reason.delivery
  }
}
