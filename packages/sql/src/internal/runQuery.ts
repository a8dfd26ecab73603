/**
 * Runs one request on a connection, row by row until a limit, and says the
 * answer as JSON.
 */
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite"
import type { Cell, Parameter } from "../SqlDatabase.ts"
import type { EncodedResponse, Request } from "./protocol.ts"
import { maxValueBytes, type ReadOnly } from "./readOnly.ts"

export const runQuery = (connection: ReadOnly, catalog: DatabaseSync, request: Request): EncodedResponse => {
  connection.takeRefusal()
  try {
    return request.catalog ? readRows(catalog.prepare(request.sql), request) : runUntrusted(connection, request)
  } catch (cause) {
    const refused = connection.takeRefusal()
    return refused === undefined ? failure(cause) : { _tag: "QueryRefused", action: refused }
  }
}

const runUntrusted = (connection: ReadOnly, request: Request): EncodedResponse => {
  const statement = connection.database.prepare(request.sql)
  if (!isEmpty(connection.database, request.sql.slice(statement.sourceSQL.length))) {
    return { _tag: "QueryRefused", action: "a second statement" }
  }
  // VACUUM and the like compile unseen by the authorizer, but return no rows.
  if (statement.columns().length === 0) {
    return { _tag: "QueryRefused", action: "a statement that returns no rows" }
  }
  return connection.whileRunning(() => readRows(statement, request))
}

/** SQLite compiles the first statement only; what is left must hold no other. */
const isEmpty = (database: DatabaseSync, rest: string): boolean => {
  if (rest === "") return true
  try {
    database.prepare(rest)
    return false
  } catch (cause) {
    return property(cause, "code") !== "ERR_SQLITE_ERROR"
  }
}

const readRows = (statement: StatementSync, request: Request): EncodedResponse => {
  const started = performance.now()
  statement.setReadBigInts(true)
  statement.setReturnArrays(true)
  const rows: Array<ReadonlyArray<Cell>> = []
  let bytes = 0
  let truncated = false
  for (const row of iterate(statement, request.parameters)) {
    const cells = row.map(toCell)
    bytes += Buffer.byteLength(JSON.stringify(cells)) + 1
    truncated = rows.length >= request.maxRows || bytes > request.maxBytes
    if (truncated) break
    rows.push(cells)
  }
  return {
    _tag: "Rows",
    columns: statement.columns().map((column) => column.name),
    rows,
    rowCount: rows.length,
    truncated,
    elapsedMs: Math.round((performance.now() - started) * 1000) / 1000
  }
}

/** `setReturnArrays` makes each row an array, which the types of Node do not know. */
const iterate = (statement: StatementSync, parameters: Request["parameters"]) =>
  (isPositional(parameters)
    ? statement.iterate(...parameters.map(toInput))
    : statement.iterate(
        Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, toInput(value)]))
      )) as Iterable<unknown> as Iterable<ReadonlyArray<SQLOutputValue>>

const isPositional = (parameters: Request["parameters"]): parameters is ReadonlyArray<Parameter> =>
  Array.isArray(parameters)

/** Node binds every number as a float, which would turn 1 into 1.0 where SQLite makes text of it. */
const toInput = (value: Parameter): SQLInputValue => {
  if (typeof value === "boolean") return value ? 1n : 0n
  return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value
}

const toCell = (value: SQLOutputValue): Cell => {
  if (typeof value === "bigint") {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : String(value)
  }
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value)
  return value instanceof Uint8Array ? { $base64: Buffer.from(value).toString("base64") } : value
}

const sqliteTooBig = 18

const failure = (cause: unknown): EncodedResponse =>
  property(cause, "errcode") === sqliteTooBig
    ? { _tag: "TooLarge", detail: `it made a value longer than ${maxValueBytes / 1024 ** 2} MiB` }
    : { _tag: "QueryFailed", detail: String(property(cause, "message")).replace(/\.$/, "") }

const property = (cause: unknown, name: string): unknown =>
  typeof cause === "object" && cause !== null ? Reflect.get(cause, name) : undefined
