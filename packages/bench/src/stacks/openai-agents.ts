/** The MCP servers of `@openai/agents`, which live in its core package. */
import { MCPServerStdio, MCPServerStreamableHttp } from "@openai/agents-core"
import { type MakeStack, stackOf, textOf } from "../client/Stack.ts"

export const make: MakeStack = () =>
  stackOf(async (target) => {
    const server =
      target.kind === "stdio"
        ? new MCPServerStdio({ command: target.command, args: [...target.args] })
        : new MCPServerStreamableHttp({ url: target.url })
    await server.connect()
    return {
      call: async (tool, args) => textOf({ content: await server.callTool(tool, { ...args }) }),
      close: () => server.close()
    }
  })
