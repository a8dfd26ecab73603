/**
 * The MCP tools over an `SqlDatabase`: `execute_query`, `list_tables` and
 * `describe_table`, apart from any transport.
 *
 * @since 0.1.0
 */
import type { CallToolResult, Tool } from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { textTable } from "./internal/textTable.ts"
import { Query, QueryResult, SqlDatabase, TableDescription, TableSummary } from "./SqlDatabase.ts"
import type { SqlError } from "./SqlError.ts"

/**
 * A tool: how it is listed, and what it does.
 *
 * @since 0.1.0
 */
export interface SqlTool {
  readonly definition: Tool
  /** Never fails: what a model can correct is a result with `isError`. Interruption stops the query. */
  readonly call: (input: unknown) => Effect.Effect<CallToolResult>
}

/**
 * The three tools over the database in the context.
 *
 * @since 0.1.0
 */
export const make: Effect.Effect<ReadonlyArray<SqlTool>, never, SqlDatabase> = Effect.gen(function* () {
  const database = yield* SqlDatabase
  return [
    makeTool({
      name: "execute_query",
      title: "Execute query",
      description: `Run one read-only ${database.dialect} SELECT and return its rows. Pass values as parameters.`,
      input: Query,
      output: QueryResult,
      run: database.execute,
      toText: textTable
    }),
    makeTool({
      name: "list_tables",
      title: "List tables",
      description: "List the tables and views of the database.",
      input: Schema.Record(Schema.String, Schema.Never),
      output: Schema.Struct({ tables: Schema.Array(TableSummary) }),
      run: () => Effect.map(database.listTables, (tables) => ({ tables })),
      toText: ({ tables }) =>
        tables.length === 0
          ? "There are no tables."
          : tables.map((table) => `${table.name} (${table.kind}, ${table.columns} columns)`).join("\n")
    }),
    makeTool({
      name: "describe_table",
      title: "Describe table",
      description: "Columns, keys and indexes of one table or view.",
      input: Schema.Struct({ table: Schema.NonEmptyString.annotate({ description: "A name of list_tables." }) }),
      output: TableDescription,
      run: ({ table }) => database.describeTable(table),
      toText: describe
    })
  ]
})

const makeTool = <I, O>(options: {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly input: Schema.Codec<I, unknown>
  readonly output: Schema.Codec<O, O>
  readonly run: (input: I) => Effect.Effect<O, SqlError>
  readonly toText: (output: O) => string
}): SqlTool => {
  const decode = Schema.decodeUnknownEffect(options.input, { errors: "all", onExcessProperty: "error" })
  return {
    definition: {
      name: options.name,
      title: options.title,
      description: options.description,
      inputSchema: toJsonSchema(options.input),
      outputSchema: toJsonSchema(options.output),
      annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false }
    },
    call: Effect.fn(`SqlTools.${options.name}`)(
      function* (input) {
        const output = yield* options.run(yield* decode(input))
        return { content: [text(options.toText(output))], structuredContent: { ...output } }
      },
      Effect.catchTags({
        SchemaError: (error) => Effect.succeed(failed(`Invalid arguments: ${oneLine(error.message)}.`)),
        SqlError: (error) => Effect.succeed(failed(error.message))
      })
    )
  }
}

const toJsonSchema = (schema: Schema.Constraint): Tool["inputSchema"] => {
  const { definitions, schema: root } = Schema.toJsonSchemaDocument(schema, { onExcessProperty: "error" })
  return { ...root, type: "object", ...(Object.keys(definitions).length > 0 ? { $defs: definitions } : {}) }
}

const text = (text: string) => ({ type: "text" as const, text })

const failed = (message: string): CallToolResult => ({ content: [text(message)], isError: true })

const oneLine = (message: string) => message.replaceAll(/\n\s+/g, " ").replaceAll("\n", "; ")

const describe = (table: TableDescription) =>
  [
    `${table.kind} ${table.name}`,
    ...table.columns.map((column) =>
      [
        `  ${column.name}`,
        column.type,
        column.nullable ? "" : "NOT NULL",
        column.default === null ? "" : `DEFAULT ${column.default}`
      ]
        .filter((part) => part !== "")
        .join(" ")
    ),
    ...primaryKey(table),
    ...table.foreignKeys.map(
      ({ columns, references }) =>
        `  FOREIGN KEY (${columns.join(", ")}) REFERENCES ${references.table}${
          references.columns.includes(null) ? "" : ` (${references.columns.join(", ")})`
        }`
    ),
    ...table.indexes.map(
      (index) =>
        `  ${index.unique ? "UNIQUE INDEX" : "INDEX"} ${index.name} (${index.columns.map((name) => name ?? "expression").join(", ")})`
    )
  ].join("\n")

const primaryKey = (table: TableDescription) => {
  const columns = table.columns
    .filter((column) => column.primaryKey > 0)
    .sort((one, other) => one.primaryKey - other.primaryKey)
  return columns.length === 0 ? [] : [`  PRIMARY KEY (${columns.map((column) => column.name).join(", ")})`]
}
