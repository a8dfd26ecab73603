/**
 * What a web application shows of its pool: `GET /mcp/stats` and `POST /mcp/warmup/{server}`, for any framework.
 *
 * There is no access control in it: mount it behind what guards the rest of an application's operations.
 *
 * @since 0.1.0
 */
import { McpError } from "./errors.ts"
import type { Pool } from "./types.ts"

/** @since 0.1.0 */
export interface RoutesOptions {
  /** What the paths begin with. Default `/mcp`. */
  readonly prefix?: string | undefined
}

/**
 * Answers what is for it, and nothing otherwise.
 *
 * @since 0.1.0
 */
export type Routes = (request: { readonly method: string; readonly url: string }) => Promise<Response | undefined>

/**
 * A handler for frameworks on Node.js' own requests, such as Express and Connect.
 *
 * @since 0.1.0
 */
export type NodeRoutes = (
  request: { readonly method?: string | undefined; readonly url?: string | undefined },
  response: {
    writeHead(status: number, headers: Record<string, string>): unknown
    end(body: string): unknown
  },
  next: (error?: unknown) => void
) => void

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly allow?: string
}

const json = { "content-type": "application/json", "cache-control": "no-store" }

const described = (error: McpError) => ({ reason: error.reason, server: error.server, message: error.message })

const warmed = async (pool: Pool, server: string): Promise<Answer> => {
  const result = (await pool.warmup([server]))[server]
  if (result === undefined) return { status: 404, body: { [server]: { ok: false } } }
  if (result.ok) return { status: 200, body: { [server]: result } }
  const status = result.error.reason === "UnknownServer" ? 404 : 503
  return { status, body: { [server]: { ok: false, error: described(result.error) } } }
}

const decoded = (part: string): string | undefined => {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

const answer = async (pool: Pool, prefix: string, method: string, path: string): Promise<Answer | undefined> => {
  if (path === `${prefix}/stats`) {
    if (method !== "GET" && method !== "HEAD") return { status: 405, body: { error: "GET only" }, allow: "GET, HEAD" }
    return { status: 200, body: await pool.stats() }
  }
  if (!path.startsWith(`${prefix}/warmup/`)) return undefined
  const server = decoded(path.slice(`${prefix}/warmup/`.length))
  if (server === undefined || server === "" || server.includes("/")) return undefined
  if (method !== "POST") return { status: 405, body: { error: "POST only" }, allow: "POST" }
  return warmed(pool, server)
}

const text = (body: unknown): string =>
  JSON.stringify(body, (_, value: unknown) => (value instanceof McpError ? described(value) : value))

const headers = ({ allow }: Answer): Record<string, string> => (allow === undefined ? json : { ...json, allow })

/** Only the path counts; whose address it is does not matter here. */
const pathOf = (url: string): string => new URL(url, "http://pool").pathname

/**
 * The two routes over the web's own `Request` and `Response`. A server that cannot be opened is answered with 503, one
 * that there is not with 404.
 *
 * @example
 * ```ts
 * import { openPool, routes } from "@scoped-mcp/handle"
 *
 * const pool = await openPool("mcp.yaml")
 * const answer = routes(pool)
 * const response = await answer(new Request("http://127.0.0.1/mcp/stats")) // undefined for other paths
 * ```
 *
 * @since 0.1.0
 */
export const routes = (pool: Pool, { prefix = "/mcp" }: RoutesOptions = {}): Routes => {
  return async ({ method, url }) => {
    const found = await answer(pool, prefix, method, pathOf(url))
    if (found === undefined) return undefined
    const body = method === "HEAD" ? null : text(found.body)
    return new Response(body, { status: found.status, headers: headers(found) })
  }
}

/**
 * The two routes as a handler of Express: `app.use(nodeRoutes(pool))`.
 *
 * @since 0.1.0
 */
export const nodeRoutes =
  (pool: Pool, { prefix = "/mcp" }: RoutesOptions = {}): NodeRoutes =>
  ({ method = "GET", url = "/" }, response, next) => {
    answer(pool, prefix, method, pathOf(url)).then((found) => {
      if (found === undefined) return next()
      response.writeHead(found.status, headers(found))
      response.end(method === "HEAD" ? "" : text(found.body))
    }, next)
  }
