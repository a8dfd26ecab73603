/**
 * A program on Effect 3 that uses an MCP server through the pool: `npm ci && npm start`. Ctrl-C ends it and its server.
 * With `--wait` it waits for a tool that never answers.
 */
import { fileURLToPath } from "node:url"
import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Schema } from "@effect/schema"
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js"
import { Console, Effect, Layer } from "effect"
import * as McpPool from "./McpPool.ts"

const shop = { command: process.execPath, args: [fileURLToPath(new URL("server.ts", import.meta.url))] }

const Stock = Schema.Struct({ items: Schema.Array(Schema.Struct({ name: Schema.String, count: Schema.Number })) })

/** An agent: it knows the tag, not where the pool comes from. */
const report = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const { raw, structuredContent } = yield* pool.callTool({ server: "shop", tool: "stock" })
  const { items } = yield* Schema.decodeUnknown(Stock)(structuredContent)
  const blocks = CallToolResultSchema.parse(raw).content.length
  return `${items.map(({ count, name }) => `${count} ${name}`).join(", ")} (in ${blocks} block)`
})

const impatient = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const recount = pool.callTool({ server: "shop", tool: "recount" })
  const outcome = yield* Effect.timeoutTo(recount, {
    duration: "200 millis",
    onSuccess: () => "counted",
    onTimeout: () => "called off"
  })
  const { text } = yield* pool.callTool({ server: "shop", tool: "cancelled" })
  return `${outcome}, the server knows: ${text}`
})

const program = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped()
  yield* files.writeFileString(`${folder}/report.txt`, yield* report)
  yield* Console.log(`stock: ${yield* files.readFileString(`${folder}/report.txt`)}`)
  yield* Console.log(`recount: ${yield* impatient}`)
  if (process.argv.includes("--wait")) {
    yield* Console.log("waiting")
    yield* Effect.flatMap(McpPool.McpPool, (pool) => pool.callTool({ server: "shop", tool: "recount" }))
  }
})

program.pipe(
  Effect.scoped,
  Effect.provide(Layer.merge(McpPool.layer({ servers: { shop } }), NodeContext.layer)),
  NodeRuntime.runMain
)
