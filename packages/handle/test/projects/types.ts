/** A program of a user's, compiled against the package as it is published, its declarations included in the check. */
import {
  agentServer,
  CallTimeout,
  type Configuration,
  ConnectFailed,
  McpError,
  openPool,
  type Pool,
  routes,
  ToolError
} from "@scoped-mcp/handle"

const configuration: Configuration = {
  servers: { files: { command: "npx", args: ["mcp-server-filesystem", "."], env: { LEVEL: 3 } } },
  acquireTimeout: 10
}

const explain = (error: unknown): string => {
  if (error instanceof ToolError) return `${error.tool}: ${error.text}`
  if (error instanceof CallTimeout) return `${error.phase} after ${error.limit} ms, ${error.delivery}`
  if (error instanceof ConnectFailed) return error.noise.join() + (error.exitCode ?? "")
  return error instanceof McpError ? `${error.server}: ${error.reason}` : "another"
}

export const use = async (signal: AbortSignal): Promise<string> => {
  await using pool: Pool = await openPool(configuration, { signals: "off", onForgotten: (name) => void name })
  try {
    const { content, structuredContent, text } = await pool.callTool({ server: "files", tool: "list", signal })
    const kinds: ReadonlyArray<string> = content.map(({ type }) => type)
    const data: unknown = structuredContent
    return [text, ...kinds, String(data)].join()
  } catch (error) {
    return explain(error)
  }
}

export const serve = async (pool: Pool, request: Request): Promise<Response | undefined> => {
  for await (const { _tag } of pool.events()) if (_tag === "PoolEnded") break
  const warmed = await pool.warmup(["files"])
  if (warmed["files"]?.ok === false) explain(warmed["files"].error)
  const { name } = agentServer(pool, "files")
  const answer: string = await pool.ask(`What is ${name}?`, { signal: request.signal })
  return answer === "" ? undefined : routes(pool)(request)
}

// @ts-expect-error a call names its server
export const wrong = async (pool: Pool) => pool.callTool({ tool: "list" })
