/** The tools of a pool for the Vercel AI SDK: `generateText({ model, tools: await vercelTools(pool), prompt })`. */
import type { Pool } from "@scoped-mcp/handle"
import { dynamicTool, jsonSchema, type ToolSet } from "ai"

export const vercelTools = async (pool: Pool): Promise<ToolSet> => {
  const { tools } = await pool.agentTools()
  return Object.fromEntries(
    tools.map(({ call, description, inputSchema, name }) => [
      name,
      dynamicTool({
        description,
        inputSchema: jsonSchema({ ...inputSchema }),
        execute: (input, { abortSignal }) => call(input, { signal: abortSignal })
      })
    ])
  )
}
