/** Real calls with real answers: a join over the sample data, a folder, an echo over HTTP. */
import { McpPool } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { database, everythingHttp, files } from "../servers.ts"
import { check, Story } from "../Story.ts"

const sql = `
SELECT categories.name AS category, count(DISTINCT order_id) AS orders, sum(quantity * unit_price_cents) / 100 AS revenue
FROM order_lines
JOIN products ON products.id = product_id
JOIN categories ON categories.id = category_id
GROUP BY category ORDER BY revenue DESC LIMIT 3`

const Rows = Schema.Struct({ rows: Schema.Array(Schema.Array(Schema.Unknown)) })

const askDatabase = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const story = yield* Story
  const result = yield* pool.callTool({ server: database, tool: "execute_query", arguments: { sql } })
  const { rows } = yield* result.decode(Rows)
  yield* check(rows.length === 3, () => `the query should have answered 3 rows, not ${rows.length}`)
  yield* story.line("ok", "database: which categories sell best?")
  yield* story.rows(
    rows.map(([category, orders, revenue]) => [String(category), `${String(revenue)} € from ${String(orders)} orders`])
  )
})

const listFolder = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const story = yield* Story
  const { text } = yield* pool.callTool({ server: files, tool: "list_directory", arguments: { path: "." } })
  const names = text.split("\n").map((line) => line.replace(/^\[(FILE|DIR)\] /, ""))
  yield* check(/^\[(FILE|DIR)\] /.test(text), () => `a listing was expected, not: ${text}`)
  yield* story.line("ok", `files: docs holds ${names.join(", ")}`)
})

const echo = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const story = yield* Story
  const { text } = yield* pool.callTool({
    server: everythingHttp,
    tool: "echo",
    arguments: { message: "hello over HTTP" }
  })
  yield* check(text.includes("hello over HTTP"), () => `an echo was expected, not: ${text}`)
  yield* story.line("ok", `everything-http: ${text}`)
})

export const callTools = Effect.as(
  Effect.all([askDatabase, listFolder, echo], { discard: true }),
  "three servers answered, each by its own transport"
)
