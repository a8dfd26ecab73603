/**
 * Every connection that the program has open, of all pools, namespaces and bare ones: to count, list and close them. It is
 * a service; where it is in the context of a pool or a connection, they join it by themselves. `McpNode.layer` has one for
 * the program.
 *
 * @example
 * ```ts
 * import { Registry } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * export const closeOldest = Effect.gen(function*() {
 *   const registry = yield* Registry.Registry
 *   const [oldest] = yield* registry.list
 *   if (oldest !== undefined) yield* registry.close(oldest.instanceId)
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as PoolLogs from "./internal/poolLogs.ts"
import * as PoolMetrics from "./internal/poolMetrics.ts"

/**
 * One open connection.
 *
 * @since 0.1.0
 */
export interface Registered {
  /** Of its pool; none for a connection without a pool. */
  readonly namespace: string | undefined
  readonly server: string
  readonly instanceId: string
  /** Of its process, if it has one. */
  readonly pid: number | undefined
  /** Milliseconds since 1970. */
  readonly openedAt: number
  /** Command line or address, without secrets. */
  readonly target: string
}

/**
 * How connections are closed. Without `force` those of a pool end with the calls and leases that run on them, for at most
 * the server's `closeTimeout`; with it, and after that, whatever runs on them fails.
 *
 * @since 0.1.0
 */
export interface CloseOptions {
  readonly force?: boolean | undefined
}

/**
 * What became of several connections.
 *
 * @since 0.1.0
 */
export interface ClosedCount {
  readonly closedCount: number
  /** They did not end within their limit. */
  readonly failedCount: number
}

/** @since 0.1.0 */
export interface RegistryService {
  readonly count: Effect.Effect<number>
  /** All that are open, the oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<Registered>>
  /** Closes one. False: there is none of that id, or it did not end within its limit. A pool opens another when it needs one. */
  readonly close: (instanceId: string, options?: CloseOptions) => Effect.Effect<boolean>
  /** Closes all, or those that are meant, in parallel; the failure of one holds up no other. */
  readonly closeAll: (
    options?: CloseOptions & { readonly where?: ((connection: Registered) => boolean) | undefined }
  ) => Effect.Effect<ClosedCount>
  /** Adds a connection until the scope closes. Pools and connections do it themselves. */
  readonly join: (
    connection: Omit<Registered, "openedAt">,
    close: (options: CloseOptions) => Effect.Effect<boolean>
  ) => Effect.Effect<void, never, Scope.Scope>
}

/** @since 0.1.0 */
export class Registry extends Context.Service<Registry, RegistryService>()("@scoped-mcp/core/Registry") {}

interface Entry {
  readonly connection: Registered
  readonly close: (options: CloseOptions) => Effect.Effect<boolean>
}

/**
 * A registry that is empty.
 *
 * @since 0.1.0
 */
export const make: Effect.Effect<RegistryService, never, Scope.Scope> = Effect.gen(function* () {
  const entries = new Map<string, Entry>()
  const bare = () => [...entries.values()].filter(({ connection }) => connection.namespace === undefined).length
  const context = yield* Effect.context<never>()
  // Those of pools are told by them, server by server.
  yield* Effect.acquireRelease(
    Effect.sync(() => PoolMetrics.ofBare(context, bare)),
    (hide) => Effect.sync(hide)
  )

  const closeEntry = ({ close, connection }: Entry, options: CloseOptions) =>
    Effect.catchCause(close(options), (cause) =>
      Effect.as(
        PoolLogs.log("closeFailed", { instanceId: connection.instanceId, server: connection.server }, cause),
        false
      )
    )

  return {
    count: Effect.sync(() => entries.size),
    list: Effect.sync(() => [...entries.values()].map(({ connection }) => connection)),
    close: (instanceId, options = {}) =>
      Effect.suspend(() => {
        const entry = entries.get(instanceId)
        return entry === undefined ? Effect.succeed(false) : closeEntry(entry, options)
      }),
    closeAll: ({ where = () => true, ...options } = {}) =>
      Effect.gen(function* () {
        yield* PoolLogs.log("closingAll")
        const meant = [...entries.values()].filter(({ connection }) => where(connection))
        const outcomes = yield* Effect.forEach(meant, (entry) => closeEntry(entry, options), {
          concurrency: "unbounded"
        })
        const closedCount = outcomes.filter((closed) => closed).length
        const failedCount = outcomes.length - closedCount
        yield* PoolLogs.log("closedAll", { closedCount, failedCount })
        return { closedCount, failedCount }
      }),
    join: (connection, close) =>
      Effect.flatMap(Clock.currentTimeMillis, (openedAt) => {
        const entry: Entry = { connection: { ...connection, openedAt }, close }
        return Effect.acquireRelease(
          Effect.sync(() => entries.set(connection.instanceId, entry)),
          () =>
            Effect.sync(() => {
              if (entries.get(connection.instanceId) === entry) entries.delete(connection.instanceId)
            })
        )
      })
  }
})

/** @since 0.1.0 */
export const layer: Layer.Layer<Registry> = Layer.effect(Registry, make)

/** Adds a connection to the registry in context, if there is one. */
export const joinIfAny = (
  connection: Omit<Registered, "openedAt">,
  close: (options: CloseOptions) => Effect.Effect<boolean>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.serviceOption(Registry), (registry) =>
    Option.isSome(registry) ? registry.value.join(connection, close) : Effect.void
  )
