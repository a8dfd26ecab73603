/** The server of the fault tests; the default export, so that it runs as a process as well. */
import * as ScriptedServer from "@scoped-mcp/testing/ScriptedServer"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const lend = ScriptedServer.tool({
  name: "lend",
  arguments: Schema.Struct({ book: Schema.String }),
  idempotencyId: ({ book }) => String(book),
  handler: ({ book }, { execution }) => Effect.succeed(`${book} lent, ${execution} in all`)
})

export default ScriptedServer.make({ name: "library", tools: [lend] })
