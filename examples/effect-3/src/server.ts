/** An MCP server over stdio, written with the SDK's line 1.x: a small shop, one of whose tools never answers. */
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"

const server = new McpServer({ name: "shop", version: "1.0.0" })
let cancelled = 0

const answer = (value: Record<string, unknown>) => ({
  content: [{ type: "text" as const, text: JSON.stringify(value) }],
  structuredContent: value
})

server.registerTool("stock", { description: "How much of everything there is" }, () =>
  answer({
    items: [
      { name: "tea", count: 12 },
      { name: "milk", count: 3 }
    ]
  })
)

server.registerTool("recount", { description: "Counts everything anew; it takes for ever" }, ({ signal }) => {
  const { promise, resolve } = Promise.withResolvers<ReturnType<typeof answer>>()
  signal.addEventListener("abort", () => {
    cancelled++
    resolve(answer({}))
  })
  return promise
})

server.registerTool("cancelled", { description: "How many counts were called off" }, () => answer({ cancelled }))

await server.connect(new StdioServerTransport())
