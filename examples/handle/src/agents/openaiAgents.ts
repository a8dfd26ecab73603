/** Agents of `@openai/agents` with servers of the pool; one that cannot be had is left out. */
import { Agent, type Model, type MCPServer } from "@openai/agents"
import { agentServer, type Pool } from "@scoped-mcp/handle"

export const createAgent = async (pool: Pool, model: Model | string, names: ReadonlyArray<string>): Promise<Agent> => {
  const servers: Array<MCPServer> = names.map((name) => agentServer(pool, name))
  const opened = await Promise.allSettled(servers.map((server) => server.connect()))
  return new Agent({
    name: "shop assistant",
    instructions: "You answer questions about the shop.",
    model,
    // Two servers may have tools of one name.
    mcpConfig: { includeServerInToolNames: true },
    mcpServers: servers.filter((_, index) => opened[index]?.status === "fulfilled")
  })
}
