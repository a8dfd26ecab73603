/** An archive that dies on the first question it is ever asked, and is well from then on. */
import { Fault, FaultyServer, ScriptedServer } from "@scoped-mcp/testing"
import { Effect, Schema } from "effect"

const search = ScriptedServer.tool({
  name: "search",
  description: "Searches the archive.",
  arguments: Schema.Struct({ query: Schema.String }),
  annotations: { readOnlyHint: true },
  handler: ({ query }) => Effect.succeed(`The archive has two books on ${query}.`)
})

const archive = ScriptedServer.make({ name: "archive", tools: [search] })

export default FaultyServer.make(archive, [Fault.first(Fault.flapping({ calls: 0 }), 1)])
