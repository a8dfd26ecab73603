/**
 * Whether a connection does its work, as a value that composes: ask the process, the server, or whatever tells, all of
 * them or any. A pool checks its connections every 30 seconds, and replaces one that has failed three times.
 *
 * @example
 * ```ts
 * import { HealthCheck, McpPool, ServerConfig } from "@scoped-mcp/core"
 *
 * const hasSearch = HealthCheck.custom("has search", (connection) => connection.callTool({ tool: "search" }))
 *
 * export const layer = McpPool.layer({
 *   servers: { files: ServerConfig.stdio({ command: "files-server", health: { every: "10 seconds" } }) },
 *   healthChecks: { files: HealthCheck.all([HealthCheck.ping, hasSearch]) }
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { McpError } from "./McpError.ts"
import type { LeasedConnection } from "./McpPool.ts"

/**
 * What a check found: nothing wrong, or what is wrong and which check says so.
 *
 * @since 0.1.0
 */
export type Verdict =
  | { readonly _tag: "Healthy" }
  | { readonly _tag: "Unhealthy"; readonly check: string; readonly why: string }

/**
 * Judges a connection. It should not take long; the pool gives it `health.timeout`, and no answer by then is a failure.
 *
 * @since 0.1.0
 */
export type HealthCheck = (connection: LeasedConnection) => Effect.Effect<Verdict>

/** @since 0.1.0 */
export const healthy: Verdict = { _tag: "Healthy" }

/** @since 0.1.0 */
export const unhealthy = (check: string, why: string): Verdict => ({ _tag: "Unhealthy", check, why })

/**
 * Healthy when the effect succeeds; else its error is the reason.
 *
 * @since 0.1.0
 */
export const custom =
  (name: string, f: (connection: LeasedConnection) => Effect.Effect<unknown, unknown>): HealthCheck =>
  (connection) =>
    Effect.matchCause(f(connection), {
      onSuccess: () => healthy,
      onFailure: (cause) =>
        unhealthy(
          name,
          Cause.prettyErrors(cause)
            .map(({ message }) => message)
            .join("; ") || "interrupted"
        )
    })

/** An answer is a sign of life, even if it is an error; what credentials lack is no fault of the server's. */
const isAnswer = (error: McpError): boolean => error.delivery === "Answered" || error.reason._tag === "AuthRequired"

/** Healthy when the server answers, whatever it answers. */
const answers = (name: string, f: (connection: LeasedConnection) => Effect.Effect<unknown, McpError>): HealthCheck =>
  custom(name, (connection) => Effect.catchIf(f(connection), isAnswer, () => Effect.void))

/**
 * The process has not ended; says nothing of a server without one.
 *
 * @since 0.1.0
 */
export const process: HealthCheck = (connection) =>
  Effect.map(connection.diagnostics, ({ exitCode, signal }) =>
    exitCode === undefined && signal === undefined ? healthy : unhealthy("process", `it ended (${signal ?? exitCode})`)
  )

/**
 * The server answers a ping. One that does not know the method answers as well.
 *
 * @since 0.1.0
 */
export const ping: HealthCheck = answers("ping", (connection) => connection.ping)

/**
 * The server lists its tools.
 *
 * @since 0.1.0
 */
export const list: HealthCheck = custom("list", (connection) => connection.listTools)

/**
 * Gives a check a name of its own in what it says.
 *
 * @since 0.1.0
 */
export const named =
  (name: string, check: HealthCheck): HealthCheck =>
  (connection) =>
    Effect.map(check(connection), (verdict) => (verdict._tag === "Healthy" ? verdict : unhealthy(name, verdict.why)))

/**
 * Healthy when every check says so, asked one after the other; the first that does not is the last that is asked.
 *
 * @since 0.1.0
 */
export const all = (checks: ReadonlyArray<HealthCheck>): HealthCheck =>
  Effect.fnUntraced(function* (connection) {
    for (const check of checks) {
      const verdict = yield* check(connection)
      if (verdict._tag === "Unhealthy") return verdict
    }
    return healthy
  })

/**
 * Healthy when one of the checks says so; else all their reasons are told. Without checks it is healthy.
 *
 * @since 0.1.0
 */
export const any = (checks: ReadonlyArray<HealthCheck>): HealthCheck =>
  Effect.fnUntraced(function* (connection) {
    const failed: Array<string> = []
    for (const check of checks) {
      const verdict = yield* check(connection)
      if (verdict._tag === "Healthy") return verdict
      failed.push(`${verdict.check}: ${verdict.why}`)
    }
    return failed.length === 0 ? healthy : unhealthy("any", failed.join("; "))
  })
