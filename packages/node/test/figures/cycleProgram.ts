/**
 * Opens a connection, calls and closes it, again and again, and tells what this process holds more than before: `{ count,
 * url }` as JSON, or without an address over stdio.
 */
import { readdirSync } from "node:fs"
import { McpConnection, ServerConfig } from "@scoped-mcp/core"
import { McpNode, ProcessTable, runMain } from "@scoped-mcp/node"
import { Effect } from "effect"
import { fixture } from "../system.ts"

const { count, url } = JSON.parse(process.argv[2]!) as { readonly count: number; readonly url?: string }
const config =
  url === undefined ? ServerConfig.stdio({ command: "sh", args: [fixture("server.sh")] }) : ServerConfig.http({ url })

const cycle = Effect.scoped(
  Effect.flatMap(McpConnection.make("cycle", config), (connection) =>
    connection.callTool({ tool: "echo", arguments: { text: "one" } })
  )
)

const cycles = (count: number) =>
  Effect.forEach(Array.from({ length: count }), () => cycle, { concurrency: 4, discard: true })

const holdings = Effect.gen(function* () {
  // Sockets and processes that were just closed go in the next turns; what finalizers let go is found by the next round.
  for (let turn = 0; turn < 5; turn++) {
    yield* Effect.sleep("50 millis")
    globalThis.gc!()
  }
  const children = ProcessTable.descendants(ProcessTable.readAll(), process.pid).length - 1
  return {
    heap: process.memoryUsage().heapUsed,
    handles: process.getActiveResourcesInfo().length,
    files: readdirSync("/proc/self/fd").length,
    children
  }
})

const program = Effect.gen(function* () {
  // The engine optimises what it sees often, and keeps that.
  yield* cycles(Math.ceil(count / 10))
  const before = yield* holdings
  const since = performance.now()
  yield* cycles(count)
  const took = performance.now() - since
  const after = yield* holdings
  const more = Object.fromEntries(
    Object.entries(after).map(([name, value]) => [name, value - before[name as keyof typeof before]])
  )
  process.stdout.write(`${JSON.stringify({ ...more, took })}\n`)
}).pipe(Effect.provide(McpNode.layer))

runMain(program)
