import { McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { Effect, Layer } from "effect"

const Servers = McpPool.layer({
  servers: { files: ServerConfig.stdio({ command: "npx", args: ["mcp-server-filesystem", "."] }) }
})

export const program = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const result = yield* pool.callTool({ server: "files", tool: "list_directory", arguments: { path: "." } })
  yield* Effect.log(result.text)
})

runMain(program.pipe(Effect.provide(Layer.provide(Servers, McpNode.layer))))
