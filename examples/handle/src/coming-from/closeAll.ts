import { openPool } from "@scoped-mcp/handle"
import { servers } from "../servers.ts"

const pool = await openPool({ servers })

// Connecting twice is one connection; one that fails stays to be seen.
await Promise.all([pool.tools("shop"), pool.tools("shop")])
await pool.tools("missing").catch(() => {})
const statuses = async () => Promise.all(["shop", "missing"].map((name) => pool.status(name)))
for (const { classic, server } of await statuses()) console.log(`${server}: ${classic}`)
const connected = (await statuses()).filter(({ classic }) => classic === "connected").length
console.log(`connected: ${connected}`)

// Disconnecting says whether there was something; what is unknown is no error.
console.log(await pool.remove("missing"), await pool.remove("nobody"))

// All at once, at the same time, each on its own; nothing is registered any more afterwards.
const counted = (async () => {
  for await (const event of pool.events()) if (event._tag === "PoolEnded") return event["closedCount"]
  return undefined
})()
await Promise.all([pool.close(), pool.close()])
console.log("closed:", await counted)
console.log(`left: ${(await pool.stats()).registeredServers.length}`)
