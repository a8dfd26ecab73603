// In a project on Effect 4 that uses the runtime's layers and the handle side by side.
import assert from "node:assert/strict"
import { McpPool, ServerConfig } from "@scoped-mcp/core"
import { openPool } from "@scoped-mcp/handle"
import { McpNode } from "@scoped-mcp/node"
import { Effect, Layer } from "effect"

const [, , script] = process.argv
const Servers = McpPool.layer({
  servers: { one: ServerConfig.stdio({ command: process.execPath, args: [script] }) }
})
const echo = { server: "one", tool: "echo", arguments: { text: "both" } }
const ours = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  return yield* pool.callTool(echo)
})
const first = await Effect.runPromise(Effect.provide(ours, Layer.provide(Servers, McpNode.layer)))
await using pool = await openPool({ servers: { one: { command: process.execPath, args: [script] } } })
const second = await pool.callTool(echo)
assert.deepEqual([first.text, second.text], ["both", "both"])
