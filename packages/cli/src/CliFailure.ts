/**
 * How the command line fails: the lines to print, one for each mistake and without a stack, and the exit code.
 *
 * - 1: a tool or a server failed, or a step of the tour did not hold.
 * - 2: the command, its arguments or the configuration are wrong.
 *
 * @since 0.1.0
 */
import { McpError } from "@scoped-mcp/core"
import { ConfigError } from "@scoped-mcp/core/ConfigFile"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { oneLine } from "./terminal/text.ts"

/** @since 0.1.0 */
export class CliFailure extends Schema.TaggedError<CliFailure>("@scoped-mcp/cli/CliFailure")("CliFailure", {
  lines: Schema.Array(Schema.String),
  exitCode: Schema.Literals([1, 2])
}) {
  override readonly [Runtime.errorExitCode] = this.exitCode
  override readonly [Runtime.errorReported] = false
  override get message() {
    return this.lines.join("\n")
  }
}

/** The command itself was wrong. */
export const usage = (line: string): CliFailure => new CliFailure({ lines: [line], exitCode: 2 })

const configurationTags: ReadonlyArray<McpError.Reason["_tag"]> = ["UnknownServer", "UnknownTool", "ServerDisabled"]

/**
 * What a failure means for the one who typed the command.
 *
 * @since 0.1.0
 */
export const from = (error: unknown): CliFailure => {
  if (error instanceof CliFailure) return error
  if (error instanceof ConfigError) {
    return new CliFailure({ lines: error.message.split("\n").map(oneLine), exitCode: 2 })
  }
  if (error instanceof McpError.McpError) {
    const exitCode = configurationTags.includes(error.reason._tag) ? 2 : 1
    return new CliFailure({ lines: [oneLine(error.message)], exitCode })
  }
  return new CliFailure({ lines: [oneLine(error instanceof Error ? error.message : String(error))], exitCode: 1 })
}
