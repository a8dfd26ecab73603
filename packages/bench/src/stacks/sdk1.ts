/** The client of the MCP SDK's maintenance line, 1.32. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { type MakeStack, stackOf, textOf } from "../client/Stack.ts"

export const make: MakeStack = () =>
  stackOf(async (target) => {
    const client = new Client({ name: "bench", version: "1.0.0" })
    const transport =
      target.kind === "stdio"
        ? new StdioClientTransport({ command: target.command, args: [...target.args], stderr: "ignore" })
        : new StreamableHTTPClientTransport(new URL(target.url))
    await client.connect(transport)
    return {
      call: async (name, args) => textOf(await client.callTool({ name, arguments: args })),
      close: () => client.close()
    }
  })
