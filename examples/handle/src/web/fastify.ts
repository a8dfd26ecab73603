/** A pool in a Fastify application: start-up warms, the end of the application closes. */
import { openPool, routes } from "@scoped-mcp/handle"
import fastify from "fastify"
import { servers } from "../servers.ts"

const pool = await openPool({ servers })
const answer = routes(pool)

const app = fastify()
app.addHook("onReady", async () => {
  await pool.warmup()
})
app.addHook("onClose", () => pool.close())
app.all("/mcp/*", async ({ method, url }, reply) => {
  const response = await answer({ method, url })
  return response === undefined ? reply.callNotFound() : reply.send(response)
})
app.get<{ Params: { thing: string } }>("/price/:thing", async ({ params }) => {
  const { text } = await pool.callTool({ server: "shop", tool: "price", arguments: { thing: params.thing } })
  return text
})

process.stdout.write(`${await app.listen({ port: 0, host: "127.0.0.1" })}\n`)
process.once("SIGTERM", () => void app.close())
