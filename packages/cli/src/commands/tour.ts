/** `scoped-mcp tour`: shows on real servers what the runtime promises, and checks it. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { from } from "../CliFailure.ts"
import * as Tour from "../tour/Tour.ts"
import { config } from "./options.ts"

export const tour = Command.make("tour", { config }, (input) => Effect.mapError(Tour.run(input.config), from)).pipe(
  Command.withDescription(
    "Open real servers, call them, kill one, cancel a call, close everything, and prove that nothing is left. Each step is checked."
  ),
  Command.withShortDescription("See it work, in less than 20 seconds")
)
