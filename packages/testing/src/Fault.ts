/**
 * What can be wrong with a server, as data: print it, store it, put several in a list. Which of them fit a server
 * depends on how it is reached, and the types {@link Wire}, {@link Process} and {@link Http} say so.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"

/** How many connections have the fault; later ones are sound. */
const common = { connections: Schema.optional(Schema.Finite) }
const span = Schema.DurationFromMillis
const ending = { exitCode: Schema.optional(Schema.Finite), signal: Schema.optional(Schema.String) }

/**
 * Faults of what is said, on any transport. In memory they run on the test's clock.
 *
 * @since 0.1.0
 */
export const Wire = Schema.Union([
  Schema.TaggedStruct("SlowStart", { delay: span, ...common }),
  Schema.TaggedStruct("NoHandshake", common),
  Schema.TaggedStruct("Crash", {
    at: Schema.Union([Schema.Finite, Schema.Literal("Handshake")]),
    ...ending,
    ...common
  }),
  Schema.TaggedStruct("Flapping", {
    after: Schema.optional(span),
    calls: Schema.optional(Schema.Finite),
    down: Schema.optional(span),
    ...common
  }),
  Schema.TaggedStruct("SlowAnswers", { method: Schema.String, delay: span, ...common }),
  Schema.TaggedStruct("NoAnswers", { method: Schema.String, ...common }),
  Schema.TaggedStruct("LateAnswers", { delay: span, ...common }),
  Schema.TaggedStruct("DuplicateAnswers", common),
  Schema.TaggedStruct("UnknownIds", common),
  Schema.TaggedStruct("WrongShape", { method: Schema.String, result: Schema.Unknown, ...common }),
  Schema.TaggedStruct("ErrorAnswers", {
    method: Schema.String,
    code: Schema.Finite,
    message: Schema.String,
    ...common
  }),
  Schema.TaggedStruct("RepeatedCursor", common),
  Schema.TaggedStruct("ChangingTools", { every: Schema.Finite, ...common })
])

/** @since 0.1.0 */
export type Wire = typeof Wire.Type

/**
 * Faults of how bytes arrive: for servers that are processes or are reached over HTTP.
 *
 * @since 0.1.0
 */
export const Bytes = Schema.Union([
  Schema.TaggedStruct("HugeAnswers", { bytes: Schema.Finite, ...common }),
  Schema.TaggedStruct("EndlessAnswers", common),
  Schema.TaggedStruct("HalfAnswers", common),
  Schema.TaggedStruct("SplitFrames", { bytes: Schema.Finite, ...common })
])

/** @since 0.1.0 */
export type Bytes = typeof Bytes.Type

/**
 * How a server starts its helpers: `plain` as its child; `shell` as the child of a shell; `launcher` as the orphan of a
 * launcher that has ended; `session` in a session of its own; `pipes` as its child that holds its standard output.
 *
 * @since 0.1.0
 */
export const HelperKind = Schema.Literals(["plain", "shell", "launcher", "session", "pipes"])

/** @since 0.1.0 */
export type HelperKind = typeof HelperKind.Type

const processOnly = Schema.Union([
  Schema.TaggedStruct("IgnoreEndOfInput", common),
  Schema.TaggedStruct("IgnoreTerm", common),
  Schema.TaggedStruct("Frozen", { at: Schema.Finite, ...common }),
  Schema.TaggedStruct("Helpers", { how: HelperKind, ...common }),
  Schema.TaggedStruct("StdoutNoise", { lines: Schema.Array(Schema.String), ...common }),
  Schema.TaggedStruct("StderrFlood", { bytes: Schema.Finite, ...common }),
  Schema.TaggedStruct("StopReading", { after: Schema.Finite, ...common }),
  Schema.TaggedStruct("EchoEnvironment", { names: Schema.Array(Schema.String), ...common })
])

const httpOnly = Schema.Union([
  Schema.TaggedStruct("ExpiringSessions", { calls: Schema.Finite, ...common }),
  Schema.TaggedStruct("Refuse", {
    status: Schema.Finite,
    method: Schema.optional(Schema.String),
    retryAfter: Schema.optional(span),
    times: Schema.optional(Schema.Finite),
    ...common
  }),
  Schema.TaggedStruct("CutStreams", common),
  Schema.TaggedStruct("ResetStreams", common),
  Schema.TaggedStruct("EndlessStreams", { heartbeat: span, ...common }),
  Schema.TaggedStruct("EchoHeaders", { names: Schema.Array(Schema.String), ...common })
])

/**
 * Everything that can be wrong with a server that is a process.
 *
 * @since 0.1.0
 */
export const Process = Schema.Union([...Wire.members, ...Bytes.members, ...processOnly.members])

/** @since 0.1.0 */
export type Process = typeof Process.Type

/**
 * Everything that can be wrong with a server that is reached over HTTP.
 *
 * @since 0.1.0
 */
export const Http = Schema.Union([...Wire.members, ...Bytes.members, ...httpOnly.members])

/** @since 0.1.0 */
export type Http = typeof Http.Type

/**
 * Any fault.
 *
 * @since 0.1.0
 */
export type Fault = Process | Http

type Of<Tag extends Fault["_tag"]> = Extract<Fault, { readonly _tag: Tag }>

const fromInput = (input: Duration.Input | undefined) =>
  input === undefined ? undefined : Duration.fromInputUnsafe(input)

/**
 * Only the first connections (processes, HTTP sessions) have the fault; later ones are sound. A server on stdio counts
 * with its journal, and needs one for this.
 *
 * @since 0.1.0
 */
export const first: {
  (connections: number): <F extends Fault>(fault: F) => F
  <F extends Fault>(fault: F, connections: number): F
} = dual(2, <F extends Fault>(fault: F, connections: number): F => ({ ...fault, connections }))

/**
 * The fault in one line, for the name of a test.
 *
 * @since 0.1.0
 */
export const print = (fault: Fault): string => {
  const { _tag, ...fields } = fault
  const shown = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [`${name}: ${Duration.isDuration(value) ? Duration.format(value) : JSON.stringify(value)}`]
  )
  return shown.length === 0 ? _tag : `${_tag} (${shown.join(", ")})`
}

/**
 * The first frame of a connection is read only after the delay.
 *
 * @since 0.1.0
 */
export const slowStart = (delay: Duration.Input): Of<"SlowStart"> => ({
  _tag: "SlowStart",
  delay: Duration.fromInputUnsafe(delay)
})

/**
 * The handshake is read and never answered.
 *
 * @since 0.1.0
 */
export const noHandshake: Of<"NoHandshake"> = { _tag: "NoHandshake" }

/**
 * Dies on reading the n-th frame of a connection (the handshake is 1 and 2, the first request is 3), or the handshake,
 * before anything is done about it. A process ends with the exit code, default 1, or by the signal; in memory the line
 * is cut; over HTTP all lines are cut and all sessions forgotten.
 *
 * @since 0.1.0
 */
export const crash = (
  at: number | "Handshake",
  how: { readonly exitCode?: number | undefined; readonly signal?: NodeJS.Signals | undefined } = {}
): Of<"Crash"> => ({ _tag: "Crash", at, ...how })

/**
 * Dies `after` this long, or on reading the call of a tool that comes after so many answered `calls`, whatever is first;
 * and comes back, at once or when it has been `down` for so long. The same with every connection. A server on stdio
 * remembers with its journal when it went down, and needs one for `down`.
 *
 * @since 0.1.0
 */
export const flapping = (when: {
  readonly after?: Duration.Input | undefined
  readonly calls?: number | undefined
  readonly down?: Duration.Input | undefined
}): Of<"Flapping"> => ({
  _tag: "Flapping",
  after: fromInput(when.after),
  calls: when.calls,
  down: fromInput(when.down)
})

/**
 * Answers to this method, calls of tools by default, are sent so much later than they are ready.
 *
 * @since 0.1.0
 */
export const slowAnswers = (delay: Duration.Input, method = "tools/call"): Of<"SlowAnswers"> => ({
  _tag: "SlowAnswers",
  method,
  delay: Duration.fromInputUnsafe(delay)
})

/**
 * Requests of this method, calls of tools by default, are done and never answered.
 *
 * @since 0.1.0
 */
export const noAnswers = (method = "tools/call"): Of<"NoAnswers"> => ({ _tag: "NoAnswers", method })

/**
 * Cancellation is ignored, and calls of tools are answered after the delay: to a caller who may have left.
 *
 * @since 0.1.0
 */
export const lateAnswers = (delay: Duration.Input): Of<"LateAnswers"> => ({
  _tag: "LateAnswers",
  delay: Duration.fromInputUnsafe(delay)
})

/**
 * Each answer is sent twice.
 *
 * @since 0.1.0
 */
export const duplicateAnswers: Of<"DuplicateAnswers"> = { _tag: "DuplicateAnswers" }

/**
 * Before each answer comes one to a request that nobody made.
 *
 * @since 0.1.0
 */
export const unknownIds: Of<"UnknownIds"> = { _tag: "UnknownIds" }

/**
 * Requests of the method are answered with this result, of whatever shape.
 *
 * @since 0.1.0
 */
export const wrongShape = (method: string, result: unknown): Of<"WrongShape"> => ({
  _tag: "WrongShape",
  method,
  result
})

/**
 * Requests of the method are refused with a JSON-RPC error, unread.
 *
 * @since 0.1.0
 */
export const errorAnswers = (
  method: string,
  code = -32_603,
  message = "the server is not well"
): Of<"ErrorAnswers"> => ({ _tag: "ErrorAnswers", method, code, message })

/**
 * Every page of a list names the same next page.
 *
 * @since 0.1.0
 */
export const repeatedCursor: Of<"RepeatedCursor"> = { _tag: "RepeatedCursor" }

/**
 * After so many calls, and again after as many, there is one tool more (`extra_1`, `extra_2`, …), and clients are told.
 *
 * @since 0.1.0
 */
export const changingTools = (every: number): Of<"ChangingTools"> => ({ _tag: "ChangingTools", every })

/**
 * Answers to calls of tools carry so many bytes of text.
 *
 * @since 0.1.0
 */
export const hugeAnswers = (bytes: number): Of<"HugeAnswers"> => ({ _tag: "HugeAnswers", bytes })

/**
 * Answers to calls of tools begin and never end, as fast as they are read.
 *
 * @since 0.1.0
 */
export const endlessAnswers: Of<"EndlessAnswers"> = { _tag: "EndlessAnswers" }

/**
 * Half of the answer to a call of a tool is sent, then the server dies.
 *
 * @since 0.1.0
 */
export const halfAnswers: Of<"HalfAnswers"> = { _tag: "HalfAnswers" }

/**
 * Everything is sent in pieces of so many bytes, so that characters are cut in two.
 *
 * @since 0.1.0
 */
export const splitFrames = (bytes: number): Of<"SplitFrames"> => ({ _tag: "SplitFrames", bytes })

/**
 * The process does not end with its input.
 *
 * @since 0.1.0
 */
export const ignoreEndOfInput: Of<"IgnoreEndOfInput"> = { _tag: "IgnoreEndOfInput" }

/**
 * The process does not end on SIGTERM.
 *
 * @since 0.1.0
 */
export const ignoreTerm: Of<"IgnoreTerm"> = { _tag: "IgnoreTerm" }

/**
 * The process stops itself with SIGSTOP on reading the n-th frame.
 *
 * @since 0.1.0
 */
export const frozen = (at: number): Of<"Frozen"> => ({ _tag: "Frozen", at })

/**
 * The process starts a helper that would live for an hour.
 *
 * @since 0.1.0
 */
export const helpers = (how: HelperKind): Of<"Helpers"> => ({ _tag: "Helpers", how })

/**
 * These lines are printed on stdout, at the start and before each answer.
 *
 * @since 0.1.0
 */
export const stdoutNoise = (...lines: ReadonlyArray<string>): Of<"StdoutNoise"> => ({ _tag: "StdoutNoise", lines })

/**
 * So many bytes are written to stderr before each answer to a call of a tool, and the answer waits for them.
 *
 * @since 0.1.0
 */
export const stderrFlood = (bytes: number): Of<"StderrFlood"> => ({ _tag: "StderrFlood", bytes })

/**
 * After so many frames the process reads no more.
 *
 * @since 0.1.0
 */
export const stopReading = (after: number): Of<"StopReading"> => ({ _tag: "StopReading", after })

/**
 * The values of these variables are written to stderr, and calls of tools are refused with an error that quotes them.
 *
 * @since 0.1.0
 */
export const echoEnvironment = (...names: ReadonlyArray<string>): Of<"EchoEnvironment"> => ({
  _tag: "EchoEnvironment",
  names
})

/**
 * After so many calls of tools a session is answered with 404, as one that has expired.
 *
 * @since 0.1.0
 */
export const expiringSessions = (calls: number): Of<"ExpiringSessions"> => ({ _tag: "ExpiringSessions", calls })

/**
 * POSTs of the method (of any, when none is named) are refused with this HTTP status, unread: so many times, or always.
 *
 * @since 0.1.0
 */
export const refuse = (
  status: number,
  options: {
    readonly method?: string | undefined
    /** Sent as `Retry-After`, in whole seconds. */
    readonly retryAfter?: Duration.Input | undefined
    readonly times?: number | undefined
  } = {}
): Of<"Refuse"> => ({
  _tag: "Refuse",
  status,
  method: options.method,
  retryAfter: fromInput(options.retryAfter),
  times: options.times
})

/**
 * The event stream of a call ends in good order before its answer.
 *
 * @since 0.1.0
 */
export const cutStreams: Of<"CutStreams"> = { _tag: "CutStreams" }

/**
 * The connection of a call is reset in the midst of its event stream.
 *
 * @since 0.1.0
 */
export const resetStreams: Of<"ResetStreams"> = { _tag: "ResetStreams" }

/**
 * The event stream of a call goes on for ever with comments instead of the answer.
 *
 * @since 0.1.0
 */
export const endlessStreams = (heartbeat: Duration.Input = "50 millis"): Of<"EndlessStreams"> => ({
  _tag: "EndlessStreams",
  heartbeat: Duration.fromInputUnsafe(heartbeat)
})

/**
 * Calls of tools are refused with an error that quotes these headers of the request.
 *
 * @since 0.1.0
 */
export const echoHeaders = (...names: ReadonlyArray<string>): Of<"EchoHeaders"> => ({ _tag: "EchoHeaders", names })
