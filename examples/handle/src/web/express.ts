/** A pool in an Express application: start-up warms, shutdown closes. */
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { nodeRoutes, openPool } from "@scoped-mcp/handle"
import express from "express"
import { servers } from "../servers.ts"

const pool = await openPool({ servers })
await pool.warmup()

// Express 5 passes on what such a handler is rejected with.
const app = express()
app.use(nodeRoutes(pool))
app.get("/price/:thing", async (request, response) => {
  const { text } = await pool.callTool({ server: "shop", tool: "price", arguments: { thing: request.params.thing } })
  response.send(text)
})

const server = app.listen(0, "127.0.0.1")
await once(server, "listening")
process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)

// With a listener of the program's own, the pool closes by itself all the same, and the program says when it ends.
process.once("SIGTERM", () => {
  server.close()
  server.closeIdleConnections()
})
