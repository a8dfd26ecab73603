/** The client of `effect/ai`, on Effect's own platform for Node and undici. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as McpClient from "effect/ai/McpClient"
import * as McpProtocol from "effect/ai/McpProtocol"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { effectStack } from "../client/effectGroup.ts"
import { type Call, type MakeStack, type Target, textOf } from "../client/Stack.ts"

const about = { name: "bench", version: "1.0.0", protocol: McpProtocol.v2025_11_25 }

const layerOf = (
  target: Target
): Layer.Layer<McpClient.McpClient, unknown, ChildProcessSpawner | HttpClient.HttpClient> =>
  target.kind === "stdio"
    ? McpClient.layerStdio({ ...about, command: ChildProcess.make(target.command, target.args) })
    : McpClient.layerHttp({ ...about, url: target.url })

const open = (target: Target) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(layerOf(target))
    const client = Context.get(context, McpClient.McpClient)
    // It calls tools that it has listed; a program lists them once.
    const tools = yield* Effect.cached(client.listTools())
    return (call: Call) =>
      Effect.flatMap(tools, (known) =>
        Effect.map(
          client.callTool({ tool: known.find((tool) => tool.name === call.tool)!, arguments: call.args }),
          textOf
        )
      )
  })

export const make: MakeStack = () =>
  effectStack(Layer.mergeAll(NodeServices.layer, NodeHttpClient.layerUndici), (targets) =>
    Effect.forEach(targets, open, { concurrency: "unbounded" })
  )
