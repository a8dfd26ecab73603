/**
 * A database that answers read-only queries: the seam between the MCP tools and
 * an engine. `SqliteDatabase` is the embedded implementation; one for another
 * engine provides the same service.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlError } from "./SqlError.ts"

/**
 * A value bound to a parameter. Booleans are bound as 0 and 1.
 *
 * @since 0.1.0
 */
export const Parameter = Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Null])

/**
 * A value bound to a parameter.
 *
 * @since 0.1.0
 */
export type Parameter = typeof Parameter.Type

/**
 * One read-only statement and its parameters.
 *
 * @since 0.1.0
 */
export const Query = Schema.Struct({
  sql: Schema.NonEmptyString.annotate({
    description: "One SELECT statement (WITH and VALUES included). Anything that writes is refused."
  }),
  parameters: Schema.optionalKey(
    Schema.Union([Schema.Array(Parameter), Schema.Record(Schema.String, Parameter)]).annotate({
      description: "Values for ? placeholders as an array, or for :name placeholders as an object."
    })
  ),
  maxRows: Schema.optionalKey(
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)).annotate({
      description: "Return at most this many rows; the server's own limit still holds."
    })
  )
})

/**
 * One read-only statement and its parameters.
 *
 * @since 0.1.0
 */
export type Query = typeof Query.Type

/**
 * A cell of a result, safe in JSON: integers beyond 2^53 and infinities are
 * strings, bytes are `{ "$base64": "..." }`.
 *
 * @since 0.1.0
 */
export const Cell = Schema.Union([
  Schema.String,
  Schema.Finite,
  Schema.Null,
  Schema.Struct({ $base64: Schema.String })
]).annotate({ description: "Integers beyond 2^53 and infinities are strings; bytes are { $base64 }." })

/**
 * A cell of a result, safe in JSON.
 *
 * @since 0.1.0
 */
export type Cell = typeof Cell.Type

/**
 * The rows of a query, in order.
 *
 * @since 0.1.0
 */
export const QueryResult = Schema.Struct({
  columns: Schema.Array(Schema.String).annotate({ description: "Column names, in the order of each row." }),
  rows: Schema.Array(Schema.Array(Cell)),
  rowCount: Schema.Natural.annotate({ description: "Number of rows returned." }),
  truncated: Schema.Boolean.annotate({ description: "Whether the row or byte limit left rows out." }),
  elapsedMs: Schema.Finite.annotate({ description: "Time in the database, in milliseconds." })
})

/**
 * The rows of a query, in order.
 *
 * @since 0.1.0
 */
export type QueryResult = typeof QueryResult.Type

/**
 * A table or view, as `listTables` names it.
 *
 * @since 0.1.0
 */
export const TableSummary = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["table", "view"]),
  columns: Schema.Natural.annotate({ description: "Number of columns." })
})

/**
 * A table or view, as `listTables` names it.
 *
 * @since 0.1.0
 */
export type TableSummary = typeof TableSummary.Type

/**
 * The shape of a table or view: what a query may name, and how tables join.
 *
 * @since 0.1.0
 */
export const TableDescription = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["table", "view"]),
  columns: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      type: Schema.String.annotate({ description: "The declared type; empty when there is none." }),
      nullable: Schema.Boolean,
      primaryKey: Schema.Natural.annotate({ description: "Place in the primary key from 1; 0 outside of it." }),
      default: Schema.NullOr(Schema.String).annotate({ description: "The default as an SQL expression." })
    })
  ),
  foreignKeys: Schema.Array(
    Schema.Struct({
      columns: Schema.Array(Schema.String),
      references: Schema.Struct({
        table: Schema.String,
        columns: Schema.Array(Schema.NullOr(Schema.String)).annotate({
          description: "The columns it refers to; null stands for the primary key."
        })
      })
    })
  ),
  indexes: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      unique: Schema.Boolean,
      columns: Schema.Array(Schema.NullOr(Schema.String)).annotate({ description: "null stands for an expression." })
    })
  )
})

/**
 * The shape of a table or view.
 *
 * @since 0.1.0
 */
export type TableDescription = typeof TableDescription.Type

/**
 * Answers read-only queries within limits of rows, bytes and time. Interrupting
 * a call stops its query.
 *
 * @since 0.1.0
 */
export class SqlDatabase extends Context.Service<
  SqlDatabase,
  {
    /** The dialect to write queries in, for example `SQLite`. */
    readonly dialect: string
    /** Runs one statement; anything but a SELECT fails with `QueryRefused`. */
    readonly execute: (query: Query) => Effect.Effect<QueryResult, SqlError>
    /** Tables and views by name, the engine's own left out. */
    readonly listTables: Effect.Effect<ReadonlyArray<TableSummary>, SqlError>
    /** Fails with `TableNotFound` when there is no such table or view. */
    readonly describeTable: (name: string) => Effect.Effect<TableDescription, SqlError>
  }
>()("@scoped-mcp/sql/SqlDatabase") {}
