/** Ours without the pool: one `McpConnection` per server, on the two platform services it needs. */
import * as McpConnection from "@scoped-mcp/core/McpConnection"
import * as ServerConfig from "@scoped-mcp/core/ServerConfig"
import * as NodeHttpDispatcher from "@scoped-mcp/node/NodeHttpDispatcher"
import * as NodeProcessOwner from "@scoped-mcp/node/NodeProcessOwner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { effectStack } from "../client/effectGroup.ts"
import type { MakeStack, Target } from "../client/Stack.ts"

const configOf = (target: Target) =>
  target.kind === "stdio"
    ? ServerConfig.stdio({ command: target.command, args: target.args })
    : ServerConfig.http({ url: target.url })

export const make: MakeStack = () =>
  effectStack(Layer.mergeAll(NodeProcessOwner.layer, NodeHttpDispatcher.layer), (targets) =>
    Effect.forEach(
      targets,
      (target, index) =>
        Effect.map(
          McpConnection.make(`server-${index}`, configOf(target)),
          (connection) => (call) =>
            Effect.map(connection.callTool({ tool: call.tool, arguments: call.args }), (result) => result.text)
        ),
      { concurrency: "unbounded" }
    )
  )
