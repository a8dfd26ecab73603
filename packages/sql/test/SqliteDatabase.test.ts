import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname } from "node:path"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { SqlDatabase, SqliteDatabase } from "../src/index.ts"
import {
  databaseOf,
  endless,
  forbidden,
  forbiddenOtherwise,
  forbiddenScript,
  temporaryDirectory
} from "./support/fixtures.ts"
import { busyProcess, isAlive, queryProcesses, until } from "./support/processes.ts"

const execute = (query: SqlDatabase.Query) =>
  Effect.flatMap(SqlDatabase.SqlDatabase, (database) => database.execute(query))

const reason = <A, R>(
  effect: Effect.Effect<A, { readonly reason: { readonly _tag: string; readonly message: string } }, R>
) => Effect.map(Effect.flip(effect), (error) => error.reason)

/** Runs with the sample open, or with another file. */
const withDatabase =
  (options: Partial<SqliteDatabase.Options> = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R | SqlDatabase.SqlDatabase>) =>
    Effect.provide(effect, SqliteDatabase.layer({ file: SqliteDatabase.sample, ...options }))

layer(SqliteDatabase.layer({ file: SqliteDatabase.sample }), { excludeTestServices: true })("a query", (it) => {
  it.effect("returns columns, rows and their count", () =>
    Effect.gen(function* () {
      const { elapsedMs, ...result } = yield* execute({
        sql: "SELECT id, name FROM categories WHERE id < 3 ORDER BY id"
      })
      assert.deepStrictEqual(result, {
        columns: ["id", "name"],
        rows: [
          [1, "Tea"],
          [2, "Coffee"]
        ],
        rowCount: 2,
        truncated: false
      })
      assert.isAtLeast(elapsedMs, 0)
    })
  )

  it.effect("keeps columns of the same name apart", () =>
    Effect.gen(function* () {
      const result = yield* execute({ sql: "SELECT 1 AS a, 2 AS a" })
      assert.deepStrictEqual([result.columns, result.rows], [["a", "a"], [[1, 2]]])
    })
  )

  it.effect("makes every value safe in JSON", () =>
    Effect.gen(function* () {
      const { rows } = yield* execute({
        sql: "SELECT 9007199254740991, 9007199254740993, -9223372036854775808, x'00ff', 9e999, -9e999, 0.5, NULL, 'ü\u2028'"
      })
      assert.deepStrictEqual(rows, [
        [
          9007199254740991,
          "9007199254740993",
          "-9223372036854775808",
          { $base64: "AP8=" },
          "Infinity",
          "-Infinity",
          0.5,
          null,
          "ü\u2028"
        ]
      ])
    })
  )

  it.effect("binds parameters by position and by name, integers as integers", () =>
    Effect.gen(function* () {
      const positional = yield* execute({
        sql: "SELECT ?, typeof(?2), ?3, ?4, ?5 || ''",
        parameters: [true, 1, null, "x", 7]
      })
      assert.deepStrictEqual(positional.rows, [[1, "integer", null, "x", "7"]])
      const named = yield* execute({ sql: "SELECT :a, typeof($b)", parameters: { a: false, $b: 0.5 } })
      assert.deepStrictEqual(named.rows, [[0, "real"]])
    })
  )

  it.effect.prop(
    "gives any parameter back as it was",
    [Schema.Union([Schema.String, Schema.Finite, Schema.Null])],
    ([value]) =>
      Effect.gen(function* () {
        // Text ends at no character but its end, save that SQLite stores no lone surrogate.
        const expected = typeof value === "string" ? value.toWellFormed() : value === 0 ? 0 : value
        const { rows } = yield* execute({ sql: "SELECT ?", parameters: [value] })
        assert.deepStrictEqual(rows, [[expected]])
      })
  )

  it.effect.prop(
    "returns the first rows up to maxRows, and tells whether there were more",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))
    ],
    ([available, maxRows]) =>
      Effect.gen(function* () {
        const result = yield* execute({
          sql: "SELECT id FROM orders WHERE id <= ? ORDER BY id",
          parameters: [available],
          maxRows
        })
        const count = Math.min(available, maxRows)
        assert.deepStrictEqual(
          result.rows,
          Array.from({ length: count }, (_, index) => [index + 1])
        )
        assert.strictEqual(result.rowCount, count)
        assert.strictEqual(result.truncated, available > maxRows)
      })
  )

  it.effect("says what SQLite says about a bad query or parameter", () =>
    Effect.gen(function* () {
      const detail = (query: SqlDatabase.Query) => Effect.map(reason(execute(query)), ({ message }) => message)
      assert.strictEqual(yield* detail({ sql: "SELEC 1" }), 'The query failed: near "SELEC": syntax error.')
      assert.strictEqual(yield* detail({ sql: "SELECT nope FROM orders" }), "The query failed: no such column: nope.")
      assert.strictEqual(
        yield* detail({ sql: " -- nothing" }),
        "The query failed: The SQL query contains no statements."
      )
      assert.strictEqual(
        yield* detail({ sql: "SELECT 1", parameters: [1] }),
        "The query failed: column index out of range."
      )
      assert.match(yield* detail({ sql: "SELECT :a", parameters: { b: 1 } }), /Unknown named parameter 'b'/)
    })
  )

  it.effect("lists tables and views, SQLite's own left out", () =>
    Effect.gen(function* () {
      const database = yield* SqlDatabase.SqlDatabase
      assert.deepStrictEqual(
        (yield* database.listTables).map(({ kind, name }) => `${kind} ${name}`),
        [
          "table categories",
          "table customers",
          "view monthly_revenue",
          "table order_lines",
          "table orders",
          "table products"
        ]
      )
    })
  )

  it.effect("describes columns, keys and indexes", () =>
    Effect.gen(function* () {
      const database = yield* SqlDatabase.SqlDatabase
      const lines = yield* database.describeTable("ORDER_LINES")
      assert.strictEqual(lines.name, "order_lines")
      assert.deepStrictEqual(
        lines.columns.map(({ name, nullable, primaryKey }) => [name, nullable, primaryKey]),
        [
          ["order_id", false, 1],
          ["line", false, 2],
          ["product_id", false, 0],
          ["quantity", false, 0],
          ["unit_price_cents", false, 0]
        ]
      )
      assert.deepStrictEqual(lines.foreignKeys, [
        { columns: ["order_id"], references: { table: "orders", columns: ["id"] } },
        { columns: ["product_id"], references: { table: "products", columns: ["id"] } }
      ])
      assert.deepStrictEqual(lines.indexes, [
        { name: "order_lines_by_product", unique: false, columns: ["product_id"] }
      ])
      const view = yield* database.describeTable("monthly_revenue")
      assert.deepStrictEqual([view.kind, view.columns.length], ["view", 3])
      assert.strictEqual((yield* reason(database.describeTable("sqlite_schema")))._tag, "TableNotFound")
    })
  )
})

describe("refusal", () => {
  it.live("meets every statement that is not one SELECT, and leaves the files as they were", () =>
    Effect.gen(function* () {
      const file = yield* databaseOf(forbiddenScript)
      const digest = () => createHash("sha256").update(readFileSync(file)).digest("hex")
      const before = digest()
      yield* Effect.forEach([...forbidden, ...forbiddenOtherwise], ([sql, action]) =>
        Effect.gen(function* () {
          const refused = yield* Effect.flip(execute({ sql }))
          if (refused._tag !== "SqlError" || refused.reason._tag !== "QueryRefused") {
            return assert.fail(`${sql}: ${refused.message}`)
          }
          assert.match(refused.reason.action, action, sql)
          assert.match(refused.message, /^Only SELECT queries are allowed/)
        })
      ).pipe(withDatabase({ file }))
      assert.strictEqual(digest(), before)
      assert.deepStrictEqual(readdirSync(dirname(file)), ["test.sqlite"])
      assert.isFalse(existsSync("copy.sqlite") || existsSync("other.sqlite"))
    }).pipe(Effect.scoped)
  )

  it.live("does not stop a full-text search", () =>
    Effect.gen(function* () {
      const file = yield* databaseOf(forbiddenScript)
      const { rows } = yield* execute({ sql: "SELECT body FROM f WHERE f MATCH 'hello'" }).pipe(withDatabase({ file }))
      assert.deepStrictEqual(rows, [["hello world"]])
    }).pipe(Effect.scoped)
  )
})

describe("limits", () => {
  const runaways: ReadonlyArray<readonly [name: string, sql: string, reason: string]> = [
    ["an endless recursion", endless, "QueryTimeout"],
    [
      "a cross join without end",
      "SELECT count(*) FROM orders a, orders b, orders c, orders d WHERE a.id + b.id + c.id + d.id = 0",
      "QueryTimeout"
    ],
    [
      "a sort of endless rows",
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT hex(randomblob(500)) AS x FROM n ORDER BY x",
      "TooLarge"
    ],
    ["a blob of a gigabyte", "SELECT length(randomblob(1000000000))", "TooLarge"],
    ["zeros by the gigabyte", "SELECT hex(zeroblob(900000000))", "TooLarge"],
    ["a text of a gigabyte", "SELECT length(printf('%.*c', 1000000000, 'x'))", "TooLarge"],
    [
      "a group_concat without end",
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT group_concat(hex(randomblob(50000))) FROM n",
      "QueryTimeout"
    ]
  ]
  for (const [name, sql, expected] of runaways) {
    it.live(`stop ${name}, and the next query works`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* reason(execute({ sql })))._tag, expected)
        assert.deepStrictEqual((yield* execute({ sql: "SELECT 1" })).rows, [[1]])
        yield* until("one process is left", () => queryProcesses(process.pid).length === 1)
      }).pipe(
        withDatabase({
          timeout: expected === "QueryTimeout" ? "400 millis" : "10 seconds",
          maxMemory: "160 MiB",
          maxConcurrent: 1
        })
      )
    )
  }

  it.live("name the time limit", () =>
    Effect.gen(function* () {
      const { message } = yield* reason(execute({ sql: endless }))
      assert.match(message, /time limit of 300ms/)
    }).pipe(withDatabase({ timeout: "300 millis" }))
  )

  it.live("cut rows off an endless result without running it to an end", () =>
    Effect.gen(function* () {
      const sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
      const result = yield* execute({ sql })
      assert.deepStrictEqual([result.rowCount, result.truncated, result.rows[24]], [25, true, [25]])
      assert.strictEqual((yield* execute({ sql, maxRows: 1_000_000 })).rowCount, 25)
    }).pipe(withDatabase({ maxRows: 25 }))
  )

  it.live("cut off at the byte limit", () =>
    Effect.gen(function* () {
      const sql =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT hex(zeroblob(500)) FROM n"
      const result = yield* execute({ sql })
      assert.isTrue(result.truncated)
      assert.strictEqual(result.rowCount, 10)
      assert.isAtMost(Buffer.byteLength(JSON.stringify(result.rows)), 10_240)
      const single = yield* execute({ sql: "SELECT hex(zeroblob(500000))" })
      assert.deepStrictEqual([single.rows, single.truncated], [[], true])
    }).pipe(withDatabase({ maxBytes: "10 KiB" }))
  )

  it.live("let only so many wait", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(execute({ sql: endless }))
      yield* busyProcess(process.pid)
      const waiting = yield* Effect.forkChild(execute({ sql: "SELECT 1" }), { startImmediately: true })
      assert.strictEqual((yield* reason(execute({ sql: "SELECT 2" })))._tag, "QueueFull")
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual((yield* Fiber.join(waiting)).rows, [[1]])
    }).pipe(withDatabase({ maxConcurrent: 1, maxWaiting: 1 }))
  )

  it.live("let queries run side by side", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(execute({ sql: endless }))
      yield* busyProcess(process.pid)
      assert.deepStrictEqual((yield* execute({ sql: "SELECT 1" })).rows, [[1]])
      yield* Fiber.interrupt(running)
    }).pipe(withDatabase({ maxConcurrent: 2 }))
  )
})

describe("lifetime", () => {
  it.live("an interrupted query is killed before the caller goes on", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(execute({ sql: endless }))
      const busy = yield* busyProcess(process.pid)
      yield* Fiber.interrupt(running)
      assert.isFalse(isAlive(busy))
      assert.deepStrictEqual((yield* execute({ sql: "SELECT 1" })).rows, [[1]])
    }).pipe(withDatabase())
  )

  it.live("even a frozen process is killed", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(execute({ sql: endless }))
      const busy = yield* busyProcess(process.pid)
      process.kill(busy.pid, "SIGSTOP")
      yield* Fiber.interrupt(running)
      assert.isFalse(isAlive(busy))
    }).pipe(withDatabase())
  )

  it.live("a process that was killed while idle is replaced", () =>
    Effect.gen(function* () {
      const [idle] = queryProcesses(process.pid)
      if (idle === undefined) return assert.fail("no process is running")
      process.kill(idle.pid, "SIGKILL")
      yield* until("another runs", () => queryProcesses(process.pid).some(({ pid }) => pid !== idle.pid))
      assert.deepStrictEqual((yield* execute({ sql: "SELECT 1" })).rows, [[1]])
    }).pipe(withDatabase({ maxConcurrent: 1 }))
  )

  it.live("a query whose process is killed fails, and the next works", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(reason(execute({ sql: endless })))
      process.kill((yield* busyProcess(process.pid)).pid, "SIGKILL")
      assert.strictEqual((yield* Fiber.join(running))._tag, "Unavailable")
      assert.deepStrictEqual((yield* execute({ sql: "SELECT 1" })).rows, [[1]])
    }).pipe(withDatabase({ maxConcurrent: 1 }))
  )

  it.live("closing the scope ends running queries and leaves no process or descriptor", () =>
    Effect.gen(function* () {
      const descriptors = () => readdirSync("/proc/self/fd").length
      const before = descriptors()
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(SqliteDatabase.layer({ file: SqliteDatabase.sample }), scope)
      const running = yield* Effect.forkChild(reason(Effect.provide(execute({ sql: endless }), context)))
      yield* busyProcess(process.pid)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(queryProcesses(process.pid), [])
      assert.match((yield* Fiber.join(running)).message, /it is closed/)
      const late = yield* reason(Effect.provide(execute({ sql: "SELECT 1" }), context))
      assert.match(late.message, /it is closed/)
      yield* until("the pipes are closed", () => descriptors() <= before)
    })
  )

  it.live("a file that is missing or no database fails at once", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const missing = yield* reason(Effect.void.pipe(withDatabase({ file: `${directory}/missing.sqlite` })))
      assert.match(missing.message, /^The database is unavailable: .*missing\.sqlite: unable to open database file\.$/)
      const text = yield* reason(Effect.void.pipe(withDatabase({ file: import.meta.filename })))
      assert.match(text.message, /file is not a database/)
      assert.deepStrictEqual(queryProcesses(process.pid), [])
    }).pipe(Effect.scoped)
  )
})
