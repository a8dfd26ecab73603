import assert from "node:assert/strict"
import { test } from "node:test"
import { run, setTracingDisabled } from "@openai/agents"
import { openPool } from "@scoped-mcp/handle"
import { generateText, stepCountIs } from "ai"
import { MockLanguageModelV3 } from "ai/test"
import { langChainTools } from "../src/agents/langChain.ts"
import { createAgent } from "../src/agents/openaiAgents.ts"
import { scriptedModel } from "../src/agents/scriptedModel.ts"
import { vercelTools } from "../src/agents/vercelAi.ts"
import { servers } from "../src/servers.ts"

setTracingDisabled(true)

void test("@openai/agents: a pooled server is an MCPServer, whose close does not close it", async () => {
  await using pool = await openPool({ servers })
  const model = scriptedModel("tea")
  const agent = await createAgent(pool, model, ["shop", "missing"])
  assert.deepEqual(
    agent.mcpServers.map(({ name }) => name),
    ["shop"]
  )
  const { finalOutput } = await run(agent, "What does tea cost?")
  assert.match(String(finalOutput), /tea costs 4/)
  assert.deepEqual(
    model.requests[0]?.tools.map(({ name }) => name),
    ["mcp_shop__price", "mcp_shop__list_things", "mcp_shop__multiply"]
  )
  for (const server of agent.mcpServers) await server.close()
  assert.deepEqual((await pool.stats()).activeServers, ["shop"])
  // The same connection serves another run.
  const failing = await createAgent(pool, scriptedModel("gold"), ["shop"])
  const { finalOutput: told } = await run(failing, "What does gold cost?")
  assert.match(String(told), /There is no gold/)
  assert.equal((await pool.stats()).servers[0]?.["opened"], 1)
})

void test("Vercel AI SDK: the tools of the pool", async () => {
  await using pool = await openPool({ servers })
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 }
  }
  const model = new MockLanguageModelV3({
    doGenerate: async ({ prompt, tools }) => {
      assert.ok(tools?.some(({ name }) => name === "shop__price"))
      const told = prompt.findLast(({ role }) => role === "tool")
      return told === undefined
        ? {
            content: [{ type: "tool-call", toolCallId: "1", toolName: "shop__price", input: '{"thing":"milk"}' }],
            finishReason: { unified: "tool-calls", raw: undefined },
            usage,
            warnings: []
          }
        : {
            content: [{ type: "text", text: `I was told: ${JSON.stringify(told.content)}` }],
            finishReason: { unified: "stop", raw: undefined },
            usage,
            warnings: []
          }
    }
  })
  const { text } = await generateText({
    model,
    tools: await vercelTools(pool),
    prompt: "What does milk cost?",
    stopWhen: stepCountIs(3)
  })
  assert.match(text, /milk costs 2/)
})

void test("LangChain: the tools of the pool", async () => {
  await using pool = await openPool({ servers })
  const tools = await langChainTools(pool)
  const price = tools.find(({ name }) => name === "shop__price")
  assert.ok(price)
  const call = { type: "tool_call" as const, id: "call_1", name: "shop__price", args: { thing: "tea" } }
  const message = await price.invoke(call)
  assert.equal(message.content, "tea costs 4")
  assert.match(await price.invoke({ thing: "gold" }), /There is no gold/)
  await assert.rejects(async () => price.invoke({}), /schema/i)
})
