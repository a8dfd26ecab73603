/** Makes the configuration of one server from its entry in a file. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Authorization } from "../Authorization.ts"
import * as ServerConfig from "../ServerConfig.ts"
import * as ConfigAuth from "./configAuth.ts"
import { formatPath, type Problem } from "./configProblem.ts"
import * as Fields from "./configSchema.ts"
import type { RawServer } from "./configShape.ts"
import * as Variables from "./configVariables.ts"
import { isRecord } from "./frames.ts"

type Outcome = Result.Result<readonly [name: string, config: ServerConfig.ServerConfig], ReadonlyArray<Problem>>

/** What the fields of an entry must be to each other; each is checked alone elsewhere. */
const contradictions = (
  entry: Readonly<Record<string, unknown>>,
  path: ReadonlyArray<PropertyKey>
): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const has = (key: string) => entry[key] !== undefined
  const refuse = (key: string, expected: string) => problems.push({ path: [...path, key], expected })
  if (has("url")) {
    for (const key of Fields.fields.started.filter(has))
      refuse(key, "not possible beside url, which names a running server")
  } else if (has("command") || has("cmd")) {
    for (const key of Fields.fields.reached.filter(has))
      refuse(key, "not possible beside command, which starts a server")
    if (has("cmd") && has("command")) refuse("cmd", "expected either cmd or command, not both")
    if (has("cmd") && has("args")) refuse("args", "not possible beside cmd, which holds the arguments")
  } else {
    problems.push({ path, expected: "expected command (or cmd) to start the server, or url to reach it" })
  }
  if (has("url") && Fields.types.started.some((type) => type === entry["type"])) {
    refuse("type", "expected http or sse, as the server has a url")
  }
  if ((has("command") || has("cmd")) && Fields.types.reached.some((type) => type === entry["type"])) {
    refuse("type", "expected stdio, as the server has a command")
  }
  if (has("timeout") && has("callTimeout")) refuse("timeout", "expected either timeout or callTimeout, not both")
  return problems
}

/** Fields that have only some values. */
const choices = new Set(["type", "disabled", "era"])

/** A number or a length of time cannot stay as it was written; without its variable it is left out. */
const withoutMissing = (
  entry: Readonly<Record<string, unknown>>,
  missing: ReadonlySet<PropertyKey | undefined>
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(entry).filter(
      ([key]) => !missing.has(key) || (!Fields.fields.limits.includes(key) && !choices.has(key))
    )
  )

const whyDisabled = (
  disabled: boolean | string | undefined,
  missing: ReadonlyArray<Variables.Missing>
): string | undefined => {
  if (typeof disabled === "string") return disabled
  if (disabled === true) return "its configuration says so"
  const names = [...new Set(missing.map(({ name }) => name))]
  if (names.length === 0) return undefined
  return names.length === 1 ? `the variable ${names[0]} is not set` : `the variables ${names.join(", ")} are not set`
}

const build = (
  fields: Fields.Server,
  auth: Authorization | undefined,
  disabled: string | undefined
): ServerConfig.ServerConfig => {
  const {
    args,
    auth: _auth,
    cmd,
    command,
    cwd,
    disabled: _,
    env,
    headers,
    inheritEnv,
    name: __,
    timeout,
    type,
    url,
    ...rest
  } = fields
  const limits = timeout === undefined ? rest : { ...rest, callTimeout: timeout }
  if (url !== undefined) {
    const options = { ...limits, url, headers, auth, disabled }
    return type === "sse" ? ServerConfig.sse(options) : ServerConfig.http(options)
  }
  const [program, ...given] = cmd ?? [command ?? "", ...(args ?? [])]
  return ServerConfig.stdio({
    ...limits,
    command: typeof program === "string" ? program : Redacted.value(program),
    args: given,
    env,
    cwd,
    inheritEnv,
    disabled
  })
}

/**
 * Without one of its variables the server is disabled, and nothing is known of how it would be authorised. What is wrong
 * with the fields that are there is told all the same; what fields are to each other cannot be.
 */
const withoutVariables = (
  made: Result.Result<Authorization | undefined, ReadonlyArray<Problem>>,
  absent: ReadonlySet<string>,
  depth: number
): Result.Result<undefined, ReadonlyArray<Problem>> => {
  const wrong = Result.isFailure(made)
    ? made.failure.filter(({ path }) => path.length > depth && !absent.has(formatPath(path)))
    : []
  return wrong.length === 0 ? Result.succeed(undefined) : Result.fail(wrong)
}

export const make = (raw: RawServer, variables: ReadonlyMap<string, string>): Outcome => {
  const { path } = raw
  if (!isRecord(raw.value)) return Result.fail([{ path, expected: "expected a map of the server's fields" }])
  const resolved = Variables.resolve(raw.value, path, variables)
  const written = resolved.value as Readonly<Record<string, unknown>>
  const entry = withoutMissing(written, new Set(resolved.missing.map((it) => it.path[path.length])))
  const decoded = Fields.decode(Fields.Server, entry, path)
  const named: ReadonlyArray<Problem> =
    raw.key === undefined && entry["name"] === undefined
      ? [{ path: [...path, "name"], expected: "expected the name of the server" }]
      : raw.key !== undefined && entry["name"] !== undefined
        ? [{ path: [...path, "name"], expected: "not possible in a map, where the key is the name" }]
        : []
  const absent = new Set(
    resolved.missing.filter((it) => it.path[path.length] === "auth").map((it) => formatPath(it.path))
  )
  const made =
    entry["auth"] === undefined ? Result.succeed(undefined) : ConfigAuth.make(entry["auth"], [...path, "auth"])
  const auth = absent.size === 0 ? made : withoutVariables(made, absent, path.length + 1)
  const problems = [
    ...resolved.problems,
    ...named,
    ...contradictions(written, path),
    ...(Result.isFailure(auth) ? auth.failure : [])
  ]
  if (Result.isFailure(decoded)) return Result.fail([...problems, ...decoded.failure])
  if (problems.length > 0 || Result.isFailure(auth)) return Result.fail(problems)
  const fields = decoded.success
  return Result.try({
    try: () =>
      [
        raw.key ?? fields.name ?? "",
        build(fields, auth.success, whyDisabled(fields.disabled, resolved.missing))
      ] as const,
    // The one thing left that only the constructors know: an address that is none.
    catch: (error) => [{ path, expected: error instanceof Error ? error.message : String(error) }]
  })
}
