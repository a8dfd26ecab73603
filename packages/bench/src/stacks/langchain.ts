/** `@langchain/mcp-adapters`: one client for all servers of a group; a tool is what it hands to an agent. */
import { MultiServerMCPClient } from "@langchain/mcp-adapters"
import { groupOf, type MakeStack } from "../client/Stack.ts"

export const make: MakeStack = () => ({
  open: async (targets) => {
    const client = new MultiServerMCPClient(
      Object.fromEntries(
        targets.map((target, index) => [
          `server-${index}`,
          target.kind === "stdio"
            ? { transport: "stdio", command: target.command, args: [...target.args], stderr: "ignore" }
            : { transport: "http", url: target.url }
        ])
      )
    )
    const toolsOf = await client.initializeConnections()
    return groupOf(
      targets.map((_, index) => ({
        call: async (name, args) =>
          String(await toolsOf[`server-${index}`]?.find((tool) => tool.name === name)?.invoke({ ...args })),
        close: () => Promise.resolve()
      })),
      () => client.close()
    )
  },
  stop: () => Promise.resolve()
})
