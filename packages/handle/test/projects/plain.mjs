// In a project of no packages but the handle: no Effect of any age is found there.
import assert from "node:assert/strict"
import { openPool, ToolError } from "@scoped-mcp/handle"

await assert.rejects(import("effect"), { code: "ERR_MODULE_NOT_FOUND" })

const server = { command: process.execPath, args: [process.argv[2]] }
{
  await using pool = await openPool({ servers: { one: server } })
  const result = await pool.callTool({ server: "one", tool: "echo", arguments: { text: "installed" } })
  assert.equal(result.text, "installed")
  await assert.rejects(pool.callTool({ server: "one", tool: "fail" }), ToolError)
  // What asks a model is loaded now, and there.
  const { tools } = await pool.agentTools()
  assert.ok(tools.some(({ name }) => name === "one__echo"))
  await assert.rejects(pool.ask("Hello", { model: { model: "" } }), { name: "ConfigError" })
}
