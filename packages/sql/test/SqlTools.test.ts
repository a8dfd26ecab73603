import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { SqlDatabase, SqlError, SqlTools } from "../src/index.ts"

const failing = (reason: SqlError.Reason) => Effect.fail(new SqlError.SqlError({ reason }))

/** A database which answers with what it was asked. */
const echo = Layer.mock(SqlDatabase.SqlDatabase)({
  dialect: "Echo",
  execute: (query) =>
    Effect.succeed({
      columns: ["query"],
      rows: [[JSON.stringify(query)]],
      rowCount: 1,
      truncated: false,
      elapsedMs: 0
    }),
  listTables: Effect.succeed([]),
  describeTable: (table) => failing(new SqlError.TableNotFound({ table }))
})

const call = Effect.fnUntraced(function* (name: string, input: unknown) {
  const tools = yield* SqlTools.make
  const tool = tools.find(({ definition }) => definition.name === name)
  return yield* tool?.call(input) ?? Effect.die(new Error(`no tool ${name}`))
}, Effect.provide(echo))

const text = (content: unknown) => (content as ReadonlyArray<{ readonly text: string }>)[0]?.text

describe("SqlTools", () => {
  it.effect("list themselves with closed schemas of what they take and give", () =>
    Effect.gen(function* () {
      const tools = yield* SqlTools.make
      assert.deepStrictEqual(
        tools.map(({ definition }) => definition.name),
        ["execute_query", "list_tables", "describe_table"]
      )
      for (const { definition } of tools) {
        assert.strictEqual(definition.inputSchema.type, "object")
        assert.strictEqual(definition.inputSchema["additionalProperties"], false)
        assert.strictEqual(definition.outputSchema?.["type"], "object")
        assert.isTrue(definition.annotations?.readOnlyHint)
      }
      assert.include(tools[0]?.definition.description, "Echo")
    }).pipe(Effect.provide(echo))
  )

  it.effect.prop("pass any query on as it is", [SqlDatabase.Query], ([query]) =>
    Effect.gen(function* () {
      const { structuredContent } = yield* call("execute_query", query)
      const [[passed] = []] = (structuredContent as { readonly rows: ReadonlyArray<ReadonlyArray<string>> }).rows
      assert.deepStrictEqual(JSON.parse(passed ?? ""), JSON.parse(JSON.stringify(query)))
    })
  )

  for (const [input, message] of [
    [{}, 'Invalid arguments: Missing key at ["sql"].'],
    [{ sql: 1 }, 'Invalid arguments: Expected string at ["sql"].'],
    [{ sql: "" }, 'Invalid arguments: Expected a value with a length of at least 1 at ["sql"].'],
    [{ sql: "SELECT 1", params: [1] }, 'Invalid arguments: Expected no excess property at ["params"].'],
    [
      { sql: "SELECT ?", parameters: [[1]] },
      'Invalid arguments: Expected string | number | boolean | null at ["parameters"][0].'
    ],
    [{ sql: "SELECT 1", maxRows: 0 }, 'Invalid arguments: Expected a value greater than or equal to 1 at ["maxRows"].'],
    [{ sql: 1, maxRows: "x" }, 'Invalid arguments: Expected string at ["sql"]; Expected number at ["maxRows"].']
  ] as const) {
    it.effect(`answer ${JSON.stringify(input)} with one line`, () =>
      Effect.gen(function* () {
        const result = yield* call("execute_query", input)
        assert.isTrue(result.isError)
        assert.strictEqual(text(result.content), message)
      })
    )
  }

  it.effect("turn a failure of the database into a result", () =>
    Effect.gen(function* () {
      const result = yield* call("describe_table", { table: "nope" })
      assert.isTrue(result.isError)
      assert.strictEqual(text(result.content), 'There is no table or view "nope"; list_tables names those that exist.')
    })
  )

  it.effect("say that there are no tables", () =>
    Effect.gen(function* () {
      const result = yield* call("list_tables", {})
      assert.deepStrictEqual(result.structuredContent, { tables: [] })
      assert.strictEqual(text(result.content), "There are no tables.")
    })
  )
})

it("every error survives the wire", () => {
  const roundTrip = Schema.decodeUnknownSync(Schema.fromJsonString(SqlError.Reason))
  const encode = Schema.encodeSync(Schema.fromJsonString(SqlError.Reason))
  for (const reason of [
    new SqlError.QueryRefused({ action: "DELETE t" }),
    new SqlError.QueryFailed({ detail: "no such column: x" }),
    new SqlError.TooLarge({ detail: "it made a value longer than 16 MiB" }),
    new SqlError.QueueFull({ maxWaiting: 3 }),
    new SqlError.Unavailable({ detail: "it is closed" })
  ]) {
    assert.strictEqual(roundTrip(encode(reason)).message, reason.message)
  }
})
