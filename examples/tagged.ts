import { McpConnection, ServerConfig } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { Effect, Layer } from "effect"

const everything = ServerConfig.stdio({ command: "npx", args: ["mcp-server-everything", "stdio"] })
const filesystem = ServerConfig.stdio({ command: "npx", args: ["mcp-server-filesystem", "."] })

class Everything extends McpConnection.Service<Everything>()("everything", everything) {}
class Files extends McpConnection.Service<Files>()("files", filesystem) {}

export const program = Effect.gen(function* () {
  const { text } = yield* (yield* Everything).callTool({ tool: "get-sum", arguments: { a: 2, b: 3 } })
  const licence = yield* (yield* Files).callTool({ tool: "read_text_file", arguments: { path: "LICENSE" } })
  yield* Effect.log(text, licence.text.slice(0, 11))
})

const Servers = Layer.provide(Layer.merge(Everything.layer, Files.layer), McpNode.layer)

runMain(program.pipe(Effect.provide(Servers)))
