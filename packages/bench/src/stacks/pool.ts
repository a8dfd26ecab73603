/** Ours as it is meant to be used: `McpPool.callTool` with every default, on `McpNode.layer`. */
import * as McpPool from "@scoped-mcp/core/McpPool"
import * as ServerConfig from "@scoped-mcp/core/ServerConfig"
import * as McpNode from "@scoped-mcp/node/McpNode"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { effectStack } from "../client/effectGroup.ts"
import type { MakeStack, Target } from "../client/Stack.ts"

const configOf = (target: Target) =>
  target.kind === "stdio"
    ? ServerConfig.stdio({ command: target.command, args: target.args })
    : ServerConfig.http({ url: target.url })

// Without loggers: what a terminal costs is not ours to measure.
const platform = Layer.mergeAll(McpNode.layer, Logger.layer([]))

export const make: MakeStack = () =>
  effectStack(platform, (targets) =>
    Effect.gen(function* () {
      const names = targets.map((_, index) => `server-${index}`)
      const pool = yield* McpPool.make({
        servers: Object.fromEntries(targets.map((target, index) => [`server-${index}`, configOf(target)]))
      })
      const warmed = yield* pool.warmup()
      for (const outcome of Object.values(warmed)) if (!outcome.ok) return yield* outcome.error
      return names.map(
        (server) => (call) =>
          Effect.map(pool.callTool({ server, tool: call.tool, arguments: call.args }), (result) => result.text)
      )
    })
  )
