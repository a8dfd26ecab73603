import { Agent, OpenAiModel } from "@scoped-mcp/agent"
import { ServerConfig } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { Console, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"

const sql = ServerConfig.stdio({ command: "npx", args: ["scoped-mcp-sql"] })

const Analyst = Agent.layerServers({
  model: OpenAiModel.layerConfig,
  servers: { sql },
  instructions: "You answer questions about an online shop from its database. Look at the tables first."
})

export const program = Agent.ask("In which month was the revenue highest, and how high was it?").pipe(
  Effect.flatMap(Console.log),
  Effect.provide(Analyst)
)

runMain(program.pipe(Effect.provide(Layer.mergeAll(McpNode.layer, FetchHttpClient.layer))))
