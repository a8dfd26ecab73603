/**
 * Everything that can stop a query, as one `SqlError` with a `reason`. Each
 * message is one sentence a model can act on.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * The database itself refused the statement: it is not a SELECT, or there is more than one.
 *
 * @since 0.1.0
 */
export class QueryRefused extends Schema.TaggedError<QueryRefused>("@scoped-mcp/sql/QueryRefused")("QueryRefused", {
  /** What the statement tried, for example `DELETE orders`. */
  action: Schema.String
}) {
  override get message() {
    return `Only SELECT queries are allowed, one statement per call; refused: ${this.action}.`
  }
}

/**
 * The database could not run the query: bad syntax, an unknown column, a parameter it does not have.
 *
 * @since 0.1.0
 */
export class QueryFailed extends Schema.TaggedError<QueryFailed>("@scoped-mcp/sql/QueryFailed")("QueryFailed", {
  detail: Schema.String
}) {
  override get message() {
    return `The query failed: ${this.detail}.`
  }
}

/**
 * The query ran longer than the time limit and was stopped.
 *
 * @since 0.1.0
 */
export class QueryTimeout extends Schema.TaggedError<QueryTimeout>("@scoped-mcp/sql/QueryTimeout")("QueryTimeout", {
  limit: Schema.DurationFromMillis
}) {
  override get message() {
    return `The query was stopped at the time limit of ${Duration.format(this.limit)}; filter earlier or read less.`
  }
}

/**
 * The query needed a longer value or more memory than is allowed.
 *
 * @since 0.1.0
 */
export class TooLarge extends Schema.TaggedError<TooLarge>("@scoped-mcp/sql/TooLarge")("TooLarge", {
  /** What was too large, and the limit. */
  detail: Schema.String
}) {
  override get message() {
    return `The query was stopped: ${this.detail}; read or sort less at once.`
  }
}

/**
 * There is no table or view of that name.
 *
 * @since 0.1.0
 */
export class TableNotFound extends Schema.TaggedError<TableNotFound>("@scoped-mcp/sql/TableNotFound")("TableNotFound", {
  table: Schema.String
}) {
  override get message() {
    return `There is no table or view "${this.table}"; list_tables names those that exist.`
  }
}

/**
 * As many queries as allowed are already waiting.
 *
 * @since 0.1.0
 */
export class QueueFull extends Schema.TaggedError<QueueFull>("@scoped-mcp/sql/QueueFull")("QueueFull", {
  maxWaiting: Schema.Finite
}) {
  override get message() {
    return `${this.maxWaiting} queries are already waiting for the database; try again later.`
  }
}

/**
 * The database cannot be used: it did not open, its process ended, or it is closed.
 *
 * @since 0.1.0
 */
export class Unavailable extends Schema.TaggedError<Unavailable>("@scoped-mcp/sql/Unavailable")("Unavailable", {
  detail: Schema.String
}) {
  override get message() {
    return `The database is unavailable: ${this.detail}.`
  }
}

/**
 * Every reason of an `SqlError`.
 *
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  QueryRefused,
  QueryFailed,
  QueryTimeout,
  TooLarge,
  TableNotFound,
  QueueFull,
  Unavailable
])

/**
 * Every reason of an `SqlError`.
 *
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * Anything that keeps a caller from an answer; see `reason`.
 *
 * @since 0.1.0
 */
export class SqlError extends Schema.TaggedError<SqlError>("@scoped-mcp/sql/SqlError")("SqlError", {
  reason: Reason
}) {
  override readonly cause = this.reason
  override get message() {
    return this.reason.message
  }
}
