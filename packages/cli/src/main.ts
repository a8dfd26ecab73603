/** The program behind `scoped-mcp`. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { runMain } from "@scoped-mcp/node"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Cli from "./Cli.ts"
import * as Screen from "./terminal/Screen.ts"
import { oneLine } from "./terminal/text.ts"

// A mistake of ours: still one line, and a way to see more.
const reportDefect = (cause: Cause.Cause<unknown>) =>
  Cause.hasDies(cause)
    ? Effect.andThen(
        Console.error(
          `scoped-mcp: an error of its own: ${oneLine(String(Cause.squash(cause)))}; --log-level debug tells more`
        ),
        Effect.logDebug(cause)
      )
    : Effect.void

runMain(
  Cli.run.pipe(
    Effect.tapCause(reportDefect),
    Effect.provide(Layer.provideMerge(Screen.layer, NodeServices.layer)),
    Effect.provide([Layer.succeed(Logger.LogToStderr, true), Layer.succeed(References.MinimumLogLevel, "Warn")])
  ),
  // We promise 6 seconds; what a busy machine needs to end a process comes on top of this limit.
  { disableErrorReporting: true, shutdownTimeout: "5 seconds" }
)
