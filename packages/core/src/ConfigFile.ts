/**
 * Reads the servers of a pool, and its limits, from a file in YAML or JSON.
 *
 * ```yaml
 * servers:
 *   files:
 *     command: npx
 *     args: [-y, "@modelcontextprotocol/server-filesystem", .]
 *   search:
 *     url: https://example.com/mcp
 *     headers: { Authorization: "Bearer ${SEARCH_TOKEN}" }
 *     timeout: 20
 * ```
 *
 * The servers may also stand under `mcpServers`, or be a list of entries with a `name` (and `cmd`, command and arguments
 * in one list). A bare number is seconds. `${NAME}` and `${NAME:-default}` in any text stand for variables, `$$` for a
 * dollar sign; a server whose variable is not set is disabled, and the others are not touched.
 *
 * @example
 * ```ts
 * import { ConfigFile, McpPool } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const pool = yield* McpPool.McpPool
 *   yield* pool.warmup()
 * }).pipe(Effect.provide(ConfigFile.layer("mcp.yaml")))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Yaml from "effect/encoding/Yaml"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as bytes from "./internal/bytes.ts"
import { formatPath, type Problem } from "./internal/configProblem.ts"
import * as Fields from "./internal/configSchema.ts"
import * as Server from "./internal/configServer.ts"
import * as Shape from "./internal/configShape.ts"
import * as Variables from "./internal/configVariables.ts"
import { assertOrdered } from "./internal/dependencies.ts"
import type { Platform } from "./McpConnection.ts"
import type { McpError } from "./McpError.ts"
import * as McpPool from "./McpPool.ts"
import type { ServerConfig } from "./ServerConfig.ts"

/**
 * Everything that is wrong with a configuration file, or with the attempt to read it. Values are never told, only where
 * they stand and what was expected there.
 *
 * @since 0.1.0
 */
export class ConfigError extends Schema.TaggedError<ConfigError>("@scoped-mcp/core/ConfigError")("ConfigError", {
  file: Schema.String,
  /** `path` is empty when the file as a whole is meant. */
  problems: Schema.NonEmptyArray(Schema.Struct({ path: Schema.String, expected: Schema.String }))
}) {
  /** One line for each mistake. */
  override get message() {
    return this.problems
      .map(({ expected, path }) => `${this.file}: ${path === "" ? "" : `${path}: `}${expected}`)
      .join("\n")
  }
}

/**
 * The options of a pool as a file gives them.
 *
 * @since 0.1.0
 */
export interface PoolConfig extends McpPool.Options {
  readonly servers: Readonly<Record<string, ServerConfig>>
}

/**
 * Where a configuration is looked for when no file is named, in this order.
 *
 * @since 0.1.0
 */
export const defaultFiles: ReadonlyArray<string> = ["mcp.yaml", "config/mcp_servers.yaml"]

/** Largest file that is read. */
const maxBytes = 1024 * 1024

const failure = (file: string, expected: string) => new ConfigError({ file, problems: [{ path: "", expected }] })

const parseText = (file: string, text: string): Effect.Effect<unknown, ConfigError> =>
  Effect.try({
    try: (): unknown => (file.endsWith(".json") ? JSON.parse(text) : Yaml.parse(text)),
    // Both parsers say where in the file they stopped; V8 quotes what it found there, which may be a secret.
    catch: (error) =>
      failure(
        file,
        file.endsWith(".json")
          ? `not JSON${/ at position \d+.*$/.exec(String(error))?.[0] ?? ""}`
          : `not YAML: ${error instanceof Error ? error.message : String(error)}`
      )
  })

const readVariables = (names: ReadonlySet<string>) =>
  Effect.map(
    Effect.forEach(names, (name) => Effect.map(Config.option(Config.String(name)), (value) => [name, value] as const)),
    (entries) => new Map(entries.flatMap(([name, value]) => (Option.isSome(value) ? [[name, value.value]] : [])))
  )

/**
 * Reads a configuration from a text; `file` is its name in errors, and says by its ending whether it is JSON. Variables
 * come from the `ConfigProvider` in the context, the environment by default; an empty one counts as not set.
 *
 * @since 0.1.0
 */
export const parse = Effect.fnUntraced(function* (
  file: string,
  text: string
): Effect.fn.Return<PoolConfig, ConfigError> {
  const root = yield* parseText(file, text)
  const excess = Shape.excess(root)
  if (excess !== undefined) return yield* failure(file, `expected ${excess}`)
  const variables = yield* Effect.mapError(readVariables(Variables.names(root)), (error) =>
    failure(file, `its variables could not be read: ${error.message}`)
  )
  const shape = Shape.find(root)
  if ("expected" in shape) return yield* failed(file, [shape])

  const resolved = Variables.resolve(shape.pool, [], variables)
  const pool = Fields.decode(Fields.Pool, resolved.value, [])
  const problems: Array<Problem> = [
    ...resolved.problems,
    ...resolved.missing.map(({ name, path }) => ({ path, expected: `the variable ${name} is not set` })),
    ...(Result.isFailure(pool) ? pool.failure : [])
  ]
  const servers = new Map<string, ServerConfig>()
  for (const raw of shape.servers) {
    const made = Server.make(raw, variables)
    if (Result.isFailure(made)) problems.push(...made.failure)
    else if (servers.has(made.success[0])) {
      problems.push({ path: [...raw.path, "name"], expected: "expected a name that no other server has" })
    } else servers.set(...made.success)
  }
  try {
    assertOrdered([...servers].map(([name, { limits }]) => ({ name, dependsOn: limits.dependsOn })))
  } catch (error) {
    problems.push({ path: [], expected: error instanceof Error ? error.message : String(error) })
  }
  return problems.length > 0 || Result.isFailure(pool)
    ? yield* failed(file, problems)
    : { ...pool.success, servers: Object.fromEntries(servers) }
})

const failed = (file: string, problems: ReadonlyArray<Problem>): ConfigError => {
  const [first, ...others] = problems.map(({ expected, path }) => ({ path: formatPath(path), expected }))
  return new ConfigError({ file, problems: [first ?? { path: "", expected: "expected another content" }, ...others] })
}

const unreadable = (file: string, error: PlatformError): ConfigError =>
  failure(
    file,
    error.reason._tag === "NotFound"
      ? "there is no such file"
      : error.reason._tag === "PermissionDenied"
        ? "we may not read it"
        : "it cannot be read; a file was expected"
  )

const findFile = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  for (const file of defaultFiles) if (yield* Effect.orElseSucceed(fs.exists(file), () => false)) return file
  return yield* failure(defaultFiles.join(" or "), "there is no such file here; write one, or name another")
})

/**
 * Reads a configuration file; without a name, the first of {@link defaultFiles} that exists. A file over 1 MiB is
 * refused.
 *
 * @since 0.1.0
 */
export const load = Effect.fnUntraced(function* (
  path?: string
): Effect.fn.Return<PoolConfig, ConfigError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const file = path ?? (yield* findFile)
  const chunks = yield* Effect.mapError(Stream.runCollect(fs.stream(file, { bytesToRead: maxBytes + 1 })), (error) =>
    unreadable(file, error)
  )
  const content = bytes.concat(chunks)
  if (content.length > maxBytes) return yield* failure(file, "expected at most 1 MiB")
  return yield* parse(file, bytes.decode(content))
})

/**
 * The pool that a file describes. It opens nothing until it is used or warmed up.
 *
 * @since 0.1.0
 */
export const layer = (
  path?: string
): Layer.Layer<McpPool.McpPool, ConfigError | McpError, Platform | FileSystem.FileSystem> =>
  Layer.effect(McpPool.McpPool, Effect.flatMap(load(path), McpPool.make))
