/** Every line that a pool logs, with its level and what it is about; `docs/events.md` lists them. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Severity } from "effect/LogLevel"
import * as References from "effect/References"
import { LogLevels, type Subsystem } from "../LogLevels.ts"

interface Line {
  readonly level: Severity
  readonly subsystem: Subsystem
  readonly text: string
}

const line = (subsystem: Subsystem, level: Severity, text: string): Line => ({ subsystem, level, text })

export const lines = {
  opened: line("resources", "Info", "MCP connection opened"),
  releasing: line("resources", "Debug", "Releasing MCP connection"),
  closed: line("resources", "Info", "MCP connection closed"),
  closeTimedOut: line("resources", "Warn", "Closing MCP connection timed out after {limit}"),
  closeFailed: line("resources", "Error", "MCP connection failed to close"),
  closingAll: line("resources", "Info", "Closing all MCP connections"),
  closedAll: line("resources", "Info", "All MCP connections closed"),
  closeAllTimedOut: line("resources", "Warn", "Closing MCP connections timed out after {limit}"),
  leaseHeld: line("resources", "Warn", "MCP connection has been on loan for more than {limit}"),
  failed: line("protocol", "Info", "MCP server failed"),
  degraded: line("protocol", "Warn", "MCP server fails its health checks"),
  circuitOpen: line("protocol", "Warn", "MCP server is left alone for a while"),
  recovered: line("protocol", "Info", "MCP server is ready again"),
  catalogChanged: line("protocol", "Debug", "MCP server offers something else")
} satisfies Record<string, Line>

export type Name = keyof typeof lines

/** Logs a line; `limit` among the annotations is put into its text as well. A cause comes with it. */
export const log = (
  name: Name,
  annotations: Readonly<Record<string, unknown>> = {},
  cause: Cause.Cause<unknown> = Cause.empty
): Effect.Effect<void> => {
  const { level, subsystem, text } = lines[name]
  const message = text.replace("{limit}", String(annotations["limit"]))
  const entry = Effect.logWithLevel(level)(message, cause).pipe(Effect.annotateLogs(annotations))
  return Effect.flatMap(LogLevels, ({ [subsystem]: least }) =>
    least === undefined ? entry : Effect.provideService(entry, References.MinimumLogLevel, least)
  )
}

/** A limit as it stands in a line: `5.0s`. */
export const seconds = (millis: number): string => `${(millis / 1_000).toFixed(1)}s`
