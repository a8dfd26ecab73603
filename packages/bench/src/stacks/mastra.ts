/** `@mastra/mcp`: one client for all servers of a group; a tool is what its list hands out. */
import type { Tool } from "@mastra/core/tools"
import { MCPClient } from "@mastra/mcp"
import { groupOf, type MakeStack, textOf } from "../client/Stack.ts"

type Execute = NonNullable<Tool["execute"]>

// What an agent would hand it; this tool looks at nothing of it.
const context = {} as Parameters<Execute>[1]

let clients = 0

export const make: MakeStack = () => ({
  open: async (targets) => {
    const client = new MCPClient({
      id: `bench-${++clients}`,
      servers: Object.fromEntries(
        targets.map((target, index) => [
          `server-${index}`,
          target.kind === "stdio" ? { command: target.command, args: [...target.args] } : { url: new URL(target.url) }
        ])
      )
    })
    const toolsets = await client.listToolsets()
    return groupOf(
      targets.map((_, index) => ({
        call: async (tool, args) => textOf(await toolsets[`server-${index}`]?.[tool]?.execute?.({ ...args }, context)),
        close: () => Promise.resolve()
      })),
      () => client.disconnect()
    )
  },
  stop: () => Promise.resolve()
})
