/** The client of the MCP SDK 2.4, as its documentation uses it. */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
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
