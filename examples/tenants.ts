/** Agents of many tenants side by side in one program: each with a pool, a conversation and a budget of its own. */
import { Agent, OpenAiModel } from "@scoped-mcp/agent"
import { McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { Console, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"

const sql = ServerConfig.stdio({ command: "npx", args: ["scoped-mcp-sql"] })

const tenants = ["acme", "globex", "initech"]

const serve = Effect.fn("serve")(function* (tenant: string) {
  const agent = yield* Agent.Agent
  const { calls, text } = yield* agent.turn(`I am ${tenant}. How many tables are there?`)
  const { namespace, servers } = yield* Effect.flatMap(McpPool.McpPool, ({ stats }) => stats)
  const answered = servers.map(({ server, status }) => `${server} ${status}`).join()
  yield* Console.log(`${namespace} (${answered}, calls: ${calls.length}): ${text}`)
})

const layerOf = (tenant: string) =>
  Layer.provideMerge(
    Agent.layer({ name: tenant, policy: { budget: { agent: { calls: 10 } } } }),
    McpPool.layer({ namespace: tenant, servers: { sql } })
  )

export const program = Effect.forEach(
  tenants,
  (tenant) => Effect.provide(serve(tenant), layerOf(tenant), { local: true }),
  { concurrency: "unbounded", discard: true }
).pipe(Effect.provide(OpenAiModel.layerConfig))

runMain(program.pipe(Effect.provide(Layer.mergeAll(McpNode.layer, FetchHttpClient.layer))))
