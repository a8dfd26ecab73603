import { ScriptedServer } from "@scoped-mcp/testing"
import { Effect } from "effect"

export default ScriptedServer.make({
  name: "echo",
  tools: [ScriptedServer.tool({ name: "echo", handler: () => Effect.succeed("hello") })]
})
