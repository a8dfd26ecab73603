/**
 * The pool: live connections to many servers, opened on first use, shared by all callers, recovered when they are lost,
 * and closed with the scope. It is the service that agents find in their context.
 *
 * @example
 * ```ts
 * import { McpPool, ServerConfig } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * const Servers = McpPool.layer({
 *   servers: {
 *     files: ServerConfig.stdio({ command: "npx", args: ["-y", "@modelcontextprotocol/server-filesystem", "."] })
 *   }
 * })
 *
 * export const program = Effect.gen(function*() {
 *   const pool = yield* McpPool.McpPool
 *   const result = yield* pool.callTool({ server: "files", tool: "list_directory", arguments: { path: "." } })
 *   yield* Effect.log(result.text)
 * }).pipe(Effect.provide(Servers))
 * ```
 *
 * @since 0.1.0
 */
import type { CompleteResult, GetPromptResult, ReadResourceResult } from "@modelcontextprotocol/client"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Catalog, ServerCatalog } from "./Catalog.ts"
import type { HealthCheck } from "./HealthCheck.ts"
import * as Pool from "./internal/Pool.ts"
import type { Overload, Span } from "./Limits.ts"
import type { CallTool, Complete, Connection, GetPrompt, Platform, ReadResource } from "./McpConnection.ts"
import type { McpError } from "./McpError.ts"
import type { PoolEvent } from "./PoolEvent.ts"
import type { PoolStats, StatusReport } from "./PoolStats.ts"
import type { Server } from "./ServerSource.ts"
import type { ToolResult } from "./ToolResult.ts"

/**
 * A connection on loan: everything but its end, which is the pool's.
 *
 * @since 0.1.0
 */
export type LeasedConnection = Omit<Connection, "close">

/**
 * Which server a request is for.
 *
 * @since 0.1.0
 */
export interface ForServer {
  /** Its name in the pool. */
  readonly server: string
}

/**
 * What became of one server's warm-up.
 *
 * @since 0.1.0
 */
export type Warmed =
  | { readonly ok: true; readonly openedIn: Duration.Duration }
  | { readonly ok: false; readonly error: McpError }

/** @since 0.1.0 */
export interface McpPoolService {
  /** Calls a tool; a tool that reports failure fails with `ToolError`. Interruption cancels it on the server. */
  readonly callTool: (call: ForServer & CallTool) => Effect.Effect<ToolResult, McpError>
  readonly readResource: (read: ForServer & ReadResource) => Effect.Effect<ReadResourceResult, McpError>
  readonly getPrompt: (get: ForServer & GetPrompt) => Effect.Effect<GetPromptResult, McpError>
  readonly complete: (complete: ForServer & Complete) => Effect.Effect<CompleteResult["completion"], McpError>

  /** What one server offers; opens it if need be. */
  readonly catalogOf: (server: string) => Effect.Effect<ServerCatalog, McpError>
  /** What all servers offer; opens those that are not open. Never fails: who cannot be asked is named in it. */
  readonly catalog: Effect.Effect<Catalog>
  /** The newest snapshot, if there is one, and each later one. Ends with the pool. */
  readonly catalogs: Stream.Stream<Catalog>

  /** Lends the connection of a server for several requests, which then all meet the same session. Takes one place. */
  readonly use: <A, E, R>(
    server: string,
    f: (connection: LeasedConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | McpError, R>
  /** Lends a connection until the scope closes. Opens it if need be. */
  readonly get: (server: string) => Effect.Effect<LeasedConnection, McpError, Scope.Scope>
  /** As `get`, but never opens one: nothing when the server is not ready. */
  readonly getIfWarm: (server: string) => Effect.Effect<Option.Option<LeasedConnection>, McpError, Scope.Scope>

  readonly status: (server: string) => Effect.Effect<StatusReport, McpError>
  readonly statuses: Effect.Effect<ReadonlyArray<StatusReport>>
  readonly stats: Effect.Effect<PoolStats>
  /** What happens from now on; the last is `PoolEnded`. A slow reader loses the oldest of 4,096. */
  readonly events: Stream.Stream<PoolEvent>

  /** Adds a server. True: it was new; false: one of that name stood there and stays. */
  readonly register: (server: string, source: Server) => Effect.Effect<boolean, McpError>
  /** Puts another server in the place of one, or adds it. Running calls end on the old connection. */
  readonly replace: (server: string, source: Server) => Effect.Effect<void, McpError>
  /** Takes a server out. False: there was none. Running calls end on their connection. */
  readonly remove: (server: string) => Effect.Effect<boolean>
  /** Makes the servers be exactly these. Those that are equal to before keep process and session. */
  readonly reload: (servers: Readonly<Record<string, Server>>) => Effect.Effect<void, McpError>

  /**
   * Opens servers before anyone asks, up to 32 at once, and keeps them open. One that is open already is replaced
   * without losing a call. Never fails: the result of each is in the record, an unknown name included.
   */
  readonly warmup: (servers?: ReadonlyArray<string>) => Effect.Effect<Readonly<Record<string, Warmed>>>
  /** Lets a stopped pool be used again. */
  readonly start: Effect.Effect<void, McpError>
  /** Closes all connections and keeps the registrations; calls fail until `start`. */
  readonly stop: Effect.Effect<void>
  /** Closes everything for good. The pool's scope does the same. Safe to run twice and at the same time. */
  readonly close: Effect.Effect<void>

  /** Lets no new call through to the server (to all of them) until `resume`. */
  readonly suspend: (server?: string) => Effect.Effect<void, McpError>
  readonly resume: (server?: string) => Effect.Effect<void, McpError>
  /** Opens a fresh connection for later calls; running ones end on the old. */
  readonly reconnect: (server: string) => Effect.Effect<void, McpError>
  /** Retires the connection: running calls end on it, the next call opens another. False: there was none. */
  readonly evict: (server: string) => Effect.Effect<boolean, McpError>
  /** Suspends the server, waits for its running calls up to the limit, and closes its connection. False: the limit passed first. */
  readonly drain: (server: string, limit: Span) => Effect.Effect<boolean, McpError>
}

/** @since 0.1.0 */
export class McpPool extends Context.Service<McpPool, McpPoolService>()("@scoped-mcp/core/McpPool") {}

/** @since 0.1.0 */
export interface Options {
  /** The servers by name. More can be registered later. */
  readonly servers: Readonly<Record<string, Server>>
  /** Name in logs and statistics. Default `default`. */
  readonly namespace?: string | undefined
  /** Longest wait for a place and for the connection, opening included. Default 30 seconds. */
  readonly acquireTimeout?: Span | undefined
  /** Calls that run at the same time, over all servers. Default 100. */
  readonly maxConcurrency?: number | undefined
  /** Calls that wait for a place, over all servers. Default 1,000. */
  readonly maxWaiting?: number | undefined
  /** What a call meets when every place is taken. Default `suspend`. */
  readonly overload?: Overload | undefined
  /** Longest time of closing all servers together. Default 5 seconds. */
  readonly closeTimeout?: Span | undefined
  /** Checks of the health of servers, by name, in place of what their `health.check` says. */
  readonly healthChecks?: Readonly<Record<string, HealthCheck>> | undefined
}

/**
 * A pool in the current scope. Fails when a server that is `critical` cannot be opened.
 *
 * @since 0.1.0
 */
export const make: (options: Options) => Effect.Effect<McpPoolService, McpError, Platform | Scope.Scope> = Pool.make

/**
 * A pool as a layer. It opens nothing until it is used or warmed up, except its `critical` servers, without which it fails;
 * and closes everything with its scope.
 *
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<McpPool, McpError, Platform> =>
  Layer.effect(McpPool, make(options))
