/** `@ai-sdk/mcp`. */
import { createMCPClient } from "@ai-sdk/mcp"
import { Experimental_StdioMCPTransport as StdioTransport } from "@ai-sdk/mcp/mcp-stdio"
import { type MakeStack, stackOf, textOf } from "../client/Stack.ts"

export const make: MakeStack = () =>
  stackOf(async (target) => {
    const client = await createMCPClient({
      transport:
        target.kind === "stdio"
          ? new StdioTransport({ command: target.command, args: [...target.args], stderr: "ignore" })
          : { type: "http", url: target.url }
    })
    return {
      call: async (name, args) => textOf(await client.callTool({ name, arguments: { ...args } })),
      close: () => client.close()
    }
  })
