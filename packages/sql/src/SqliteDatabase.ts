/**
 * SQLite as an `SqlDatabase`, embedded in Node. SQLite itself refuses what is not
 * reading, and queries run in processes that are killed at a limit.
 *
 * @since 0.1.0
 */
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as ByteSize from "effect/ByteSize"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Pool from "effect/Pool"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as catalog from "./internal/catalog.ts"
import type { Request } from "./internal/protocol.ts"
import * as QueryProcess from "./internal/QueryProcess.ts"
import { SqlDatabase, TableDescription, TableSummary } from "./SqlDatabase.ts"
import { QueryTimeout, QueueFull, SqlError, TableNotFound, Unavailable } from "./SqlError.ts"

/**
 * Where the database is, and what a query may use.
 *
 * @since 0.1.0
 */
export interface Options {
  /** Path of the database file. It is opened read-only and must exist. */
  readonly file: string
  /** Rows of a result; more are cut off and `truncated` is set. Default 1,000. */
  readonly maxRows?: number | undefined
  /** Size of the rows as JSON; more are cut off and `truncated` is set. Default 1 MiB. */
  readonly maxBytes?: ByteSize.Input | undefined
  /** Longest run of a query, after its wait for a process. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Resident memory of a query's process, about 70 MiB of it Node itself. Default 512 MiB. */
  readonly maxMemory?: ByteSize.Input | undefined
  /** Queries that run at once, each in a process of its own. Default 2. */
  readonly maxConcurrent?: number | undefined
  /** Queries that may wait for a process; one more fails with `QueueFull`. Default 32. */
  readonly maxWaiting?: number | undefined
}

/**
 * The packaged sample: an online shop with five tables, two years of orders.
 *
 * @since 0.1.0
 */
export const sample: string = fileURLToPath(new URL("../sample/shop.sqlite", import.meta.url))

/**
 * Opens the database for the scope, which owns the processes: none is left when
 * it closes, running queries fail. Fails when the file does not open.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function* (options: Options) {
    yield* requireNode
    const maxRows = options.maxRows ?? 1000
    const maxBytes = toBytes(options.maxBytes, ByteSize.mebibytes(1))
    const timeout = Duration.fromInputUnsafe(options.timeout ?? "10 seconds")
    const maxConcurrent = options.maxConcurrent ?? 2
    const maxWaiting = options.maxWaiting ?? 32
    const settings = { file: resolve(options.file), maxMemory: toBytes(options.maxMemory, ByteSize.mebibytes(512)) }

    const scope = yield* Effect.scope
    const pool: Pool.Pool<QueryProcess.QueryProcess, Unavailable> = yield* Pool.makeWithTTL({
      acquire: Effect.tap(QueryProcess.make(settings), (process) =>
        // One that ended while idle must not be the next to get a query.
        Effect.forkIn(
          Effect.andThen(
            process.ended,
            Effect.suspend(() => Pool.invalidate(pool, process))
          ),
          scope
        )
      ),
      min: 1,
      max: maxConcurrent,
      timeToLive: "1 minute"
    })
    const places = maxConcurrent + maxWaiting
    const admission = yield* Semaphore.make(places)
    const closing = yield* Deferred.make<never, Unavailable>()
    // Before the pool closes: queries end, and their processes, which the pool may no longer know.
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Deferred.fail(closing, new Unavailable({ detail: "it is closed" })),
        admission.withPermits(places)(Effect.void)
      )
    )

    const run = Effect.fnUntraced(
      function* (request: Request) {
        const answered = yield* Pool.use(pool, (process) =>
          process.run(request).pipe(
            Effect.timeoutOrElse({
              duration: timeout,
              orElse: () => Effect.fail(new QueryTimeout({ limit: timeout }))
            }),
            // Its query may still run: the process ends before the caller goes on.
            Effect.onError(() => Pool.invalidate(pool, process))
          )
        ).pipe((query) => Effect.raceFirst(Deferred.await(closing), query), admission.withPermitsIfAvailable(1))
        const response = yield* Effect.fromOption(answered, () => new QueueFull({ maxWaiting }))
        return response._tag === "Rows" ? response : yield* response
      },
      Effect.mapError((reason) => new SqlError({ reason }))
    )

    // Our own statements answer with at most one row, whose one cell is JSON.
    const ask = <A>(sql: string, parameters: ReadonlyArray<string>, schema: Schema.Codec<A, Schema.Json>) => {
      const decode = Schema.decodeUnknownEffect(Schema.Array(Schema.Tuple([Schema.fromJsonString(schema)])))
      return run({ sql, parameters, maxRows: 1, maxBytes: Number.MAX_SAFE_INTEGER, catalog: true }).pipe(
        Effect.flatMap(({ rows }) => Effect.orDie(decode(rows))),
        Effect.map((rows) => rows[0]?.[0])
      )
    }

    // Reports a file that does not open now rather than on the first query.
    yield* Effect.scoped(Pool.get(pool))

    return SqlDatabase.of({
      dialect: "SQLite",
      execute: Effect.fn("SqliteDatabase.execute")(function* (query) {
        const { _tag, ...result } = yield* run({
          sql: query.sql,
          parameters: query.parameters ?? [],
          maxRows: Math.min(query.maxRows ?? maxRows, maxRows),
          maxBytes,
          catalog: false
        })
        return result
      }),
      listTables: Effect.map(ask(catalog.listTables, [], Schema.Array(TableSummary)), (tables) => tables ?? []),
      describeTable: Effect.fn("SqliteDatabase.describeTable")(function* (name) {
        const description = yield* ask(catalog.describeTable, [name], TableDescription)
        return description ?? (yield* new SqlError({ reason: new TableNotFound({ table: name }) }))
      })
    })
  },
  Effect.catchTag("Unavailable", (reason) => Effect.fail(new SqlError({ reason })))
)

/**
 * SQLite as the `SqlDatabase`, open until the layer closes.
 *
 * @example
 * ```ts
 * import { SqlDatabase, SqliteDatabase } from "@scoped-mcp/sql"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const database = yield* SqlDatabase.SqlDatabase
 *   return yield* database.execute({ sql: "SELECT count(*) FROM orders" })
 * }).pipe(Effect.provide(SqliteDatabase.layer({ file: SqliteDatabase.sample })))
 * ```
 *
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SqlDatabase, SqlError> =>
  Layer.effect(SqlDatabase, make(options)).pipe(Layer.provide(NodeServices.layer))

const requireNode = Effect.suspend(() => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return major > 24 || (major === 24 && minor >= 10)
    ? Effect.void
    : Effect.fail(new Unavailable({ detail: `SQLite needs Node 24.10 or newer, this is ${process.versions.node}` }))
})

const toBytes = (size: ByteSize.Input | undefined, fallback: ByteSize.ByteSize) =>
  ByteSize.toNumberUnsafe(size === undefined ? fallback : ByteSize.fromInputUnsafe(size))
