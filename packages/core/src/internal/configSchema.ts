/** What may stand in a configuration file: the fields of a server and of the pool, and what each is read as. */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Problem } from "./configProblem.ts"
import { nearest } from "./nearest.ts"

/** A field that is only ever read: `read` answers nothing for what is not `expected`. The value itself is never told. */
const field = <A>(expected: string, read: (input: unknown) => A | undefined) =>
  Schema.Unknown.pipe(
    Schema.decodeTo(
      // What `read` answers is right by its type.
      Schema.declare((value): value is A => value !== undefined),
      {
        decode: SchemaGetter.transformEffect((input: unknown) => {
          const value = read(input)
          return value === undefined ? Effect.fail(new SchemaIssue.InvalidValue({ expected })) : Effect.succeed(value)
        }),
        encode: SchemaGetter.forbiddenEncoding
      }
    )
  )

/** What a variable brought in is a text like any other where nothing can be kept secret. */
const plain = (input: unknown): unknown => (Redacted.isRedacted(input) ? Redacted.value(input) : input)

const numeric = (input: unknown): number | undefined => {
  const value = plain(input)
  const number = typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
  return typeof number === "number" && Number.isFinite(number) ? number : undefined
}

const isSecretText = (input: unknown): input is Redacted.Redacted<string> => Redacted.isRedacted(input)

const scalar = (input: unknown): string | undefined =>
  typeof input === "string" || typeof input === "number" || typeof input === "boolean" ? String(input) : undefined

const secretText = field("a text, a number, true or false", (input) => (isSecretText(input) ? input : scalar(input)))

const text = (expected: string) =>
  field(expected, (input) => {
    const value = plain(input)
    return typeof value === "string" && value.trim() !== "" ? value : undefined
  })

const span = field('a length of time longer than nothing, such as 20 (seconds) or "500 millis"', (input) => {
  const seconds = numeric(input)
  const value = plain(input)
  const duration =
    seconds !== undefined
      ? Option.some(Duration.seconds(seconds))
      : typeof value === "string"
        ? Duration.fromInput(value as Duration.Input)
        : Option.none()
  return Option.getOrUndefined(Option.filter(duration, (it) => Duration.toMillis(it) > 0))
})

const count = (least: number) =>
  field(`a whole number of at least ${least}`, (input) => {
    const number = numeric(input)
    return number !== undefined && Number.isInteger(number) && number >= least ? number : undefined
  })

const size = field('a number of bytes, such as 1048576 or "1 MiB"', (input) => {
  const number = numeric(input)
  const value = plain(input)
  const bytes =
    number !== undefined
      ? ByteSize.fromInput(number)
      : typeof value === "string"
        ? ByteSize.fromString(value)
        : Option.none()
  return Option.getOrUndefined(Option.filter(bytes, (it) => it > 0n))
})

const switches: Readonly<Record<string, boolean>> = { true: true, false: false }

const boolean = field("true or false", (input) => switches[String(plain(input))])

const oneOf = <const Choice extends string>(choices: ReadonlyArray<Choice>) =>
  field(choices.join(" or "), (input) => choices.find((choice) => choice === plain(input)))

/** What a field can be, for the parts of a file that are described elsewhere. */
export const kinds = { boolean, count, oneOf, secretText, span, text }

const inheritEnv = field("minimal, none, all, or a list of variable names", (input) => {
  const value = plain(input)
  if (value === "minimal" || value === "none" || value === "all") return value
  if (!Array.isArray(value)) return undefined
  const names = value.map(plain)
  return names.every((name) => typeof name === "string") ? names : undefined
})

const restart = Schema.Struct({
  intensity: Schema.optionalKey(count(1)),
  period: Schema.optionalKey(span),
  backoff: Schema.optionalKey(span),
  maxBackoff: Schema.optionalKey(span),
  resetAfter: Schema.optionalKey(span)
})

const health = Schema.Struct({
  check: Schema.optionalKey(oneOf(["ping", "list", "process", "off"])),
  every: Schema.optionalKey(span),
  timeout: Schema.optionalKey(span),
  failures: Schema.optionalKey(count(1))
})

const limits = {
  connectTimeout: Schema.optionalKey(span),
  callIdleTimeout: Schema.optionalKey(span),
  callTimeout: Schema.optionalKey(span),
  closeTimeout: Schema.optionalKey(span),
  idleTimeToLive: Schema.optionalKey(span),
  keepAlive: Schema.optionalKey(boolean),
  maxConcurrency: Schema.optionalKey(count(1)),
  maxWaiting: Schema.optionalKey(count(0)),
  overload: Schema.optionalKey(oneOf(["suspend", "reject"])),
  maxRequestBytes: Schema.optionalKey(size),
  maxMessageBytes: Schema.optionalKey(size),
  restart: Schema.optionalKey(restart),
  health: Schema.optionalKey(health),
  /** As the files of other hosts say it: `callTimeout`. */
  timeout: Schema.optionalKey(span)
}

const started = {
  command: Schema.optionalKey(text("the name or path of a program")),
  args: Schema.optionalKey(Schema.Array(secretText)),
  /** Command and arguments in one list. */
  cmd: Schema.optionalKey(Schema.NonEmptyArray(secretText)),
  env: Schema.optionalKey(Schema.Record(Schema.String, secretText)),
  cwd: Schema.optionalKey(text("the path of a folder")),
  inheritEnv: Schema.optionalKey(inheritEnv)
}

const reached = {
  url: Schema.optionalKey(secretText),
  headers: Schema.optionalKey(Schema.Record(Schema.String, secretText)),
  /** Decoded by its own `type`. */
  auth: Schema.optionalKey(Schema.Unknown)
}

/** The types that name a server which is started, and one which is reached over HTTP in its present or its old way. */
export const types = {
  started: ["stdio"],
  reached: ["http", "streamable-http", "streamable_http", "streamableHttp", "sse"]
} as const

export const Server = Schema.Struct({
  name: Schema.optionalKey(text("the name of the server")),
  type: Schema.optionalKey(oneOf([...types.started, ...types.reached])),
  disabled: Schema.optionalKey(
    field("true, false, or the reason as a text", (input) => {
      const value = plain(input)
      return typeof value === "boolean" || typeof value === "string" ? value : undefined
    })
  ),
  era: Schema.optionalKey(oneOf(["auto", "legacy", "modern"])),
  ...started,
  ...reached,
  ...limits
})

export type Server = typeof Server.Type

/** The fields that belong to one kind of server only. */
export const fields = { started: Object.keys(started), reached: Object.keys(reached), limits: Object.keys(limits) }

export const Pool = Schema.Struct({
  namespace: Schema.optionalKey(text("a name")),
  acquireTimeout: Schema.optionalKey(span),
  maxConcurrency: Schema.optionalKey(count(1)),
  maxWaiting: Schema.optionalKey(count(0)),
  overload: Schema.optionalKey(oneOf(["suspend", "reject"])),
  closeTimeout: Schema.optionalKey(span)
})

const shapes: Readonly<Record<string, string>> = { Arrays: "a list", Objects: "a map" }

const problemsOf = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey>): ReadonlyArray<Problem> => {
  switch (issue._tag) {
    case "Pointer":
      return problemsOf(issue.issue, [...path, ...issue.path])
    case "Filter":
    case "Encoding":
      return problemsOf(issue.issue, path)
    case "Composite":
    case "AnyOf":
      return issue.issues.flatMap((inner) => problemsOf(inner, path))
    case "UnexpectedKey": {
      const known = SchemaAST.isObjects(issue.ast) ? issue.ast.propertySignatures.map(({ name }) => String(name)) : []
      const meant = nearest(String(path.at(-1)), known)[0]
      const hint = meant === undefined ? `expected one of ${known.join(", ")}` : `did you mean ${meant}?`
      return [{ path, expected: `unknown key; ${hint}` }]
    }
    case "InvalidValue":
      return [{ path, expected: `expected ${issue.annotations?.expected ?? "another value"}` }]
    case "InvalidType":
      return [{ path, expected: `expected ${shapes[issue.ast._tag] ?? "another value"}` }]
    case "MissingKey":
      return [
        { path, expected: typeof path.at(-1) === "number" ? "expected at least one value" : "expected, and not there" }
      ]
    case "Forbidden":
    case "OneOf":
      return [{ path, expected: "expected another value" }]
  }
}

/** Decodes a part of a file, or says everything that is wrong with it. `path` is where the part stands. */
export const decode = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  input: unknown,
  path: ReadonlyArray<PropertyKey>
): Result.Result<S["Type"], ReadonlyArray<Problem>> =>
  Result.mapError(
    Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: "error" })(input),
    ({ issue }) => problemsOf(issue, path)
  )
