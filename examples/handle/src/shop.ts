/** An MCP server over stdio with a few tools, for all examples here. */
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { z } from "zod"

const server = new McpServer({ name: "shop", version: "1.0.0" })
const prices: Readonly<Record<string, number>> = { tea: 4, milk: 2 }

server.registerTool("price", { description: "The price of a thing", inputSchema: { thing: z.string() } }, ({ thing }) =>
  prices[thing] === undefined
    ? { isError: true, content: [{ type: "text", text: `There is no ${thing}.` }] }
    : { content: [{ type: "text", text: `${thing} costs ${prices[thing]}` }] }
)

server.registerTool("list_things", { description: "Everything there is" }, () => ({
  content: [{ type: "text", text: Object.keys(prices).join(", ") }]
}))

server.registerTool(
  "multiply",
  { description: "a times b", inputSchema: { a: z.number(), b: z.number() } },
  ({ a, b }) => ({ content: [{ type: "text", text: String(a * b) }] })
)

await server.connect(new StdioServerTransport())
