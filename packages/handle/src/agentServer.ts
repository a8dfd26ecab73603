/**
 * A server of a pool in the shape that `@openai/agents` calls an `MCPServer`.
 *
 * @since 0.1.0
 */
import type { CallOptions, Content, Pool } from "./types.ts"

/**
 * What an agent of `@openai/agents` needs of a server. Its `close` does nothing: the server is the pool's.
 *
 * @since 0.1.0
 */
export interface AgentServer {
  readonly name: string
  cacheToolsList: boolean
  /** Opens the server if need be; rejected when it cannot be opened, so that an agent can do without it. */
  readonly connect: () => Promise<void>
  readonly close: () => Promise<void>
  readonly listTools: () => Promise<Array<AgentServerTool>>
  readonly callTool: (
    tool: string,
    input: Record<string, unknown> | null,
    meta?: Record<string, unknown> | null,
    options?: { signal?: AbortSignal }
  ) => Promise<Array<Content>>
  readonly invalidateToolsCache: () => Promise<void>
  /** What the model is told of a call that failed: our own words, which say what to try. */
  errorFunction: (failed: { error: unknown }) => string
}

/** @since 0.1.0 */
export interface AgentServerTool {
  name: string
  description?: string
  inputSchema: {
    type: "object"
    properties: Record<string, unknown>
    required: Array<string>
    additionalProperties: boolean
    [keyword: string]: unknown
  }
}

/**
 * The SDK reads `properties` and `required` of every schema. What a schema says of further properties is left as it is: to the
 * SDK, absent is something else than allowed.
 */
const complete = (schema: Readonly<Record<string, unknown>>) =>
  ({ properties: {}, required: [], ...schema, type: "object" }) as unknown as AgentServerTool["inputSchema"]

/**
 * The server of that name for `new Agent({ mcpServers: [agentServer(pool, "files")] })`. The pool lists and caches; a tool
 * that fails is rejected with `ToolError`, whose message the model gets.
 *
 * @since 0.1.0
 */
export const agentServer = (pool: Pool, server: string): AgentServer => {
  const nothing = async (): Promise<void> => {}
  return {
    name: server,
    cacheToolsList: false,
    connect: async () => {
      await pool.tools(server)
    },
    close: nothing,
    invalidateToolsCache: nothing,
    errorFunction: ({ error }) => (error instanceof Error ? error.message : String(error)),
    listTools: async () =>
      (await pool.tools(server)).map(({ description, inputSchema, name }) => ({
        name,
        ...(description === undefined ? {} : { description }),
        inputSchema: complete(inputSchema)
      })),
    callTool: async (tool, input, _meta, options: Pick<CallOptions, "signal"> = {}) => {
      const { content } = await pool.callTool({ server, tool, arguments: input ?? {}, signal: options.signal })
      return [...content]
    }
  }
}
