import { run } from "@openai/agents"
import { agentServer, openPool } from "@scoped-mcp/handle"
import { createAgent } from "../agents/openaiAgents.ts"
import { scriptedModel } from "../agents/scriptedModel.ts"

// The pool of a file; ${VARIABLES} are those of the environment. Every server tells what became of its warm-up.
await using pool = await openPool("mcp.yaml")
for (const [name, result] of Object.entries(await pool.warmup())) {
  console.log(`${name}: ${result.ok ? "warm" : result.error.reason}`)
}

// One more, at run time; warming up one that runs replaces it without losing a call.
await pool.register("second", { command: process.execPath, args: ["src/shop.ts"], timeout: 300 })
await pool.warmup(["second"])

// What there is to call, and a call.
for (const { description, name } of await pool.tools("shop")) console.log(`- ${name}: ${description}`)
const { content } = await pool.callTool({ server: "shop", tool: "list_things" })
console.log(content)

// An agent with one server, and one with those of several that can be had. Neither closes what is the pool's.
const single = agentServer(pool, "shop")
await single.connect()
const agent = await createAgent(pool, scriptedModel("tea"), ["shop", "second", "missing"])
console.log(`servers of the agent: ${agent.mcpServers.map(({ name }) => name).join(", ")}`)
console.log((await run(agent, "What does tea cost?")).finalOutput)

// Health, recovery and figures.
console.log(`healthy: ${(await pool.status("shop")).status === "Ready"}`)
const { activeServers, health, initialised, namespace, registeredServers } = await pool.stats()
console.log({ namespace, registeredServers, activeServers, health, initialised })
