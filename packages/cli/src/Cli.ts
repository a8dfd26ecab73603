/**
 * The command `scoped-mcp` and its subcommands.
 *
 * @since 0.1.0
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { CliFailure, from } from "./CliFailure.ts"
import { call } from "./commands/call.ts"
import { tools } from "./commands/tools.ts"
import { tour } from "./commands/tour.ts"
import { packageVersion } from "./internal/packageVersion.ts"
import { oneLine } from "./terminal/text.ts"

/** @since 0.1.0 */
export const command = Command.make("scoped-mcp").pipe(
  Command.withDescription("Use MCP servers from the command line: nothing leaks, nothing hangs."),
  Command.withSubcommands([tools, call, tour])
)

/** A line for each mistake and where to read on; a page of help would bury it. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.forEach(
          event.errors,
          (error) => Console.error(`scoped-mcp: ${oneLine(error.message)} (see ${event.commandPath.join(" ")} --help)`),
          { discard: true }
        )
      : CliOutput.defaultPresenter.present(event)
}

const report = (failure: CliFailure) =>
  Effect.forEach(failure.lines, (line) => Console.error(`scoped-mcp: ${line}`), { discard: true })

/**
 * Runs the command with the arguments of the process. It fails when all that is to be said has been said.
 *
 * @since 0.1.0
 */
export const run = Command.run(command, { version: packageVersion }).pipe(
  Effect.catch((error) => {
    // Told by the presenter; help that was asked for is no failure.
    if (error._tag === "ShowHelp") {
      return error.errors.length === 0 ? Effect.void : new CliFailure({ lines: [], exitCode: 2 })
    }
    const failure = from(error)
    return Effect.andThen(report(failure), failure)
  }),
  Effect.provideService(CliOutput.Presenter, presenter)
)
