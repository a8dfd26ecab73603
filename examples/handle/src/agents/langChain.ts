/** The tools of a pool for LangChain: `model.bindTools(await langChainTools(pool))`. */
import { tool } from "@langchain/core/tools"
import type { Pool } from "@scoped-mcp/handle"

export const langChainTools = async (pool: Pool) => {
  const { tools } = await pool.agentTools()
  return tools.map(({ call, description, inputSchema, name }) =>
    tool((input: unknown, config?: { signal?: AbortSignal }) => call(input, { signal: config?.signal }), {
      name,
      description,
      schema: { ...inputSchema, type: "object" as const }
    })
  )
}
