/** A pool in a Hono application on Node.js: start-up warms, shutdown closes. */
import { serve } from "@hono/node-server"
import { openPool, routes } from "@scoped-mcp/handle"
import { Hono } from "hono"
import { servers } from "../servers.ts"

const pool = await openPool({ servers })
await pool.warmup()
const answer = routes(pool)

const app = new Hono()
app.all("/mcp/*", async (context) => (await answer(context.req.raw)) ?? context.notFound())
app.get("/price/:thing", async (context) => {
  const thing = context.req.param("thing")
  const { text } = await pool.callTool({ server: "shop", tool: "price", arguments: { thing } })
  return context.text(text)
})

const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
process.once("SIGTERM", () => void server.close())
