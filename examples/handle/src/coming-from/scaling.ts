import cluster from "node:cluster"
import { once } from "node:events"
import { availableParallelism } from "node:os"
import { openPool, Overloaded } from "@scoped-mcp/handle"
import { servers } from "../servers.ts"

// As many processes as there are processors, two here at most; each has a pool of its own.
if (cluster.isPrimary) {
  const workers = Array.from({ length: Math.min(2, availableParallelism()) }, () => cluster.fork())
  await Promise.all(workers.map((worker) => once(worker, "exit")))
  console.log(`${workers.length === 0 ? "no" : "all"} workers have ended`)
} else {
  const pool = await openPool({
    servers,
    maxConcurrency: 100, // calls at the same time
    maxWaiting: 1_000, // calls that wait for a place; then `Overloaded`
    overload: "suspend", // `reject`: not even one waits
    acquireTimeout: 5 // seconds that a call waits
  })
  await pool.register("narrow", {
    ...servers.shop,
    maxConcurrency: 1,
    maxWaiting: 1,
    callTimeout: 5,
    maxRequestBytes: 1_048_576
  })
  await pool.warmup(["narrow"])
  const calls = Array.from({ length: 5 }, () => pool.callTool({ server: "narrow", tool: "list_things" }))
  const refused = (await Promise.allSettled(calls)).filter(
    (result) => result.status === "rejected" && result.reason instanceof Overloaded
  )
  console.log(`refused: ${refused.length} of ${calls.length}`)
  // The worker is told to end as a load balancer would tell it; the pool closes by itself.
  cluster.worker?.disconnect()
}
