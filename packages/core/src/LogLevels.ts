/**
 * How much a pool logs, by what it is about.
 *
 * @example
 * ```ts
 * import { LogLevels } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * // Every release of a connection, whatever level the program logs at, and nothing of what servers do.
 * export const quiet = Effect.provideService(LogLevels.LogLevels, { resources: "Debug", protocol: "None" })
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { LogLevel } from "effect/LogLevel"

/**
 * - `resources`: connections that open and close, and the close of all.
 * - `protocol`: what servers do: fail, recover, change their lists.
 *
 * @since 0.1.0
 */
export type Subsystem = "resources" | "protocol"

/**
 * The least level of each subsystem; without one it is that of the program. Read where the pool is made.
 *
 * @since 0.1.0
 */
export const LogLevels = Context.Reference<Readonly<Partial<Record<Subsystem, LogLevel>>>>(
  "@scoped-mcp/core/LogLevels",
  { defaultValue: () => ({}) }
)
