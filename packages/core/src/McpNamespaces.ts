/**
 * Pools by namespace: each tenant has connections, limits, secrets, caches, statistics and credentials of its own, in a
 * pool that is made when somebody first asks for it and closed when nobody has used it for a while. A pool never knows
 * of another; what they share is the number of calls that the program runs at once, in turns.
 *
 * @example
 * ```ts
 * import { McpNamespaces, McpPool, ServerConfig } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * const Tenants = McpNamespaces.layer({
 *   servers: {
 *     notes: ServerConfig.http({ url: "https://notes.example.com/mcp", headers: { "X-Tenant": "${namespace}" } })
 *   }
 * })
 *
 * const agent = Effect.gen(function*() {
 *   const pool = yield* McpPool.McpPool
 *   return yield* pool.callTool({ server: "notes", tool: "list" })
 * })
 *
 * export const program = agent.pipe(Effect.provide(McpNamespaces.get("acme")), Effect.provide(Tenants))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LayerMap from "effect/LayerMap"
import * as RcMap from "effect/RcMap"
import * as Scope from "effect/Scope"
import * as Places from "./internal/Places.ts"
import * as Limits from "./Limits.ts"
import type { Platform } from "./McpConnection.ts"
import { McpError, NamespaceRefused } from "./McpError.ts"
import * as McpPool from "./McpPool.ts"
import type { PoolStats } from "./PoolStats.ts"
import type { Server } from "./ServerSource.ts"
import * as ServerTemplate from "./ServerTemplate.ts"

/**
 * The limits of one namespace's pool.
 *
 * @since 0.1.0
 */
export type PoolLimits = Omit<McpPool.Options, "servers" | "namespace">

/** @since 0.1.0 */
export interface Options {
  /**
   * The servers of each namespace: a function of its name, or data in which `${namespace}` stands for the name in
   * environment, headers and arguments.
   */
  readonly servers: Readonly<Record<string, Server>> | ((namespace: string) => Readonly<Record<string, Server>>)
  /** The limits of each namespace's pool, the same for all or a function of the name. Default: those of a pool. */
  readonly limits?: PoolLimits | ((namespace: string) => PoolLimits) | undefined
  /** A pool that nobody has held for this long is closed. Default 10 minutes. */
  readonly idleTimeToLive?: Limits.Span | undefined
  /**
   * Calls that run at the same time, over all namespaces. Those who wait for a place get one in turns, by namespace.
   * Default 1,000.
   */
  readonly maxConcurrency?: number | undefined
  /** Pools at the same time, idle ones included. Default 1,000. */
  readonly maxNamespaces?: number | undefined
}

/**
 * The figures of all namespaces at one moment.
 *
 * @since 0.1.0
 */
export interface NamespacesStats {
  readonly namespaces: ReadonlyArray<PoolStats>
  /** Connections that are open, over all namespaces. */
  readonly connections: number
  /** Calls and leases that run, over all namespaces. */
  readonly running: number
  /** Calls that wait for a place in their pool or in the program. */
  readonly waiting: number
}

/** @since 0.1.0 */
export interface McpNamespacesService {
  /** The pool of a namespace as a layer: made on first use, and held for as long as the layer is. */
  readonly get: (namespace: string) => Layer.Layer<McpPool.McpPool, McpError>
  /** The same for the current scope. */
  readonly pool: (namespace: string) => Effect.Effect<McpPool.McpPoolService, McpError, Scope.Scope>
  /** The namespaces that have a pool now. */
  readonly list: Effect.Effect<ReadonlyArray<string>>
  readonly stats: Effect.Effect<NamespacesStats>
  /**
   * Closes the pool of a namespace, whoever holds it; the next use makes another one, which opens nothing before the
   * first is gone. False: it had none.
   */
  readonly close: (namespace: string) => Effect.Effect<boolean>
  /** Closes all pools, in parallel. The scope does the same, for good. */
  readonly closeAll: Effect.Effect<void>
}

/** @since 0.1.0 */
export class McpNamespaces extends Context.Service<McpNamespaces, McpNamespacesService>()(
  "@scoped-mcp/core/McpNamespaces"
) {}

const defaults = { idleTimeToLive: Duration.minutes(10), maxConcurrency: 1_000, maxNamespaces: 1_000 } as const

/** A name is safe wherever a template puts it: it is no path, no option, and no second header or variable. */
const name = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/**
 * Whether a text can be the name of a namespace: 1 to 64 letters, digits, `.`, `_` and `-`, the first of them a letter
 * or a digit.
 *
 * @since 0.1.0
 */
export const isName = (text: string): boolean => name.test(text)

interface Entry {
  readonly pool: McpPool.McpPoolService
  /** Its connections have been released. */
  readonly gone: Deferred.Deferred<void>
}

const refused = (namespace: string, detail: string) =>
  new McpError({ reason: new NamespaceRefused({ server: "*", namespace, detail }) })

const optionsOf = (options: Options, namespace: string): McpPool.Options => {
  const { limits, servers } = options
  const own = typeof limits === "function" ? limits(namespace) : limits
  if (typeof servers === "function") return { ...own, namespace, servers: servers(namespace) }
  const expanded = Object.entries(servers).map(
    ([server, source]) => [server, ServerTemplate.expand(source, namespace)] as const
  )
  return { ...own, namespace, servers: Object.fromEntries(expanded) }
}

/**
 * Namespaces in the current scope.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<McpNamespacesService, never, Platform | Scope.Scope> {
  const maxNamespaces = Limits.count("maxNamespaces", options.maxNamespaces, defaults.maxNamespaces, 1)
  const places = Places.make(Limits.count("maxConcurrency", options.maxConcurrency, defaults.maxConcurrency, 1))
  const base = Context.add(yield* Effect.context<Platform>(), Places.ProgramPlaces, places)
  const entries = new Map<string, Entry>()
  let closed = false

  const forget = (namespace: string, gone: Entry["gone"]) =>
    Effect.suspend(() => {
      if (entries.get(namespace)?.gone === gone) entries.delete(namespace)
      return Deferred.succeed(gone, undefined)
    })

  const open = Effect.fnUntraced(function* (namespace: string) {
    const before = entries.get(namespace)
    if (before !== undefined) yield* Deferred.await(before.gone)
    const gone = yield* Deferred.make<void>()
    const poolOptions = yield* Effect.try({
      try: () => optionsOf(options, namespace),
      catch: (error) => refused(namespace, error instanceof Error ? error.message : String(error))
    })
    // Registered first, so that it runs when the pool has been closed.
    yield* Effect.addFinalizer(() => forget(namespace, gone))
    const pool = yield* McpPool.make(poolOptions)
    entries.set(namespace, { pool, gone })
    return pool
  })

  const map: LayerMap.LayerMap<string, McpPool.McpPool, McpError> = yield* LayerMap.make(
    (namespace: string) =>
      Layer.effect(
        McpPool.McpPool,
        open(namespace).pipe(
          // Whoever comes first lends it nothing of his own: no span, no credentials, no services.
          Effect.updateContext((caller: Context.Context<Scope.Scope>) =>
            Context.add(base, Scope.Scope, Context.get(caller, Scope.Scope))
          ),
          // A failure would else be kept for the whole idle time.
          Effect.onError(() => map.invalidate(namespace))
        )
      ),
    { idleTimeToLive: Limits.span("idleTimeToLive", options.idleTimeToLive, defaults.idleTimeToLive) }
  )

  const refusal = Effect.fnUntraced(function* (namespace: string) {
    if (closed) return yield* refused(namespace, "all namespaces are closed; use them only inside their scope")
    if (!isName(namespace)) {
      return yield* refused(
        namespace,
        "its name must be 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit"
      )
    }
    if (yield* RcMap.has(map.rcMap, namespace)) return
    const count = Array.from(yield* RcMap.keys(map.rcMap)).length
    if (count >= maxNamespaces) {
      return yield* refused(namespace, `there are ${count} already (maxNamespaces)`)
    }
  })

  const contextOf = (namespace: string) => Effect.andThen(refusal(namespace), map.contextEffect(namespace))

  const close = (namespace: string) =>
    Effect.suspend(() => {
      const entry = entries.get(namespace)
      if (entry === undefined) return Effect.succeed(false)
      // First, so that whoever asks from now on gets another pool.
      return map
        .invalidate(namespace)
        .pipe(
          Effect.andThen(entry.pool.close),
          Effect.andThen(forget(namespace, entry.gone)),
          Effect.as(true),
          Effect.uninterruptible
        )
    })

  const closeAll = Effect.suspend(() =>
    Effect.forEach([...entries.keys()], close, { concurrency: "unbounded", discard: true })
  )

  // Registered after the map, so it runs first: the map closes its entries one after the other.
  yield* Effect.addFinalizer(() => {
    closed = true
    return closeAll
  })

  return {
    get: (namespace) => Layer.effectContext(contextOf(namespace)),
    pool: (namespace) => Effect.map(contextOf(namespace), (context) => Context.get(context, McpPool.McpPool)),
    list: Effect.sync(() => [...entries.keys()]),
    stats: Effect.gen(function* () {
      const namespaces = yield* Effect.forEach([...entries.values()], ({ pool }) => pool.stats)
      return {
        namespaces,
        connections: namespaces.reduce(
          (sum, { servers }) => sum + servers.reduce((all, { connections }) => all + connections, 0),
          0
        ),
        running: places.running(),
        waiting: namespaces.reduce((sum, { waiting }) => sum + waiting, 0)
      }
    }),
    close,
    closeAll
  }
})

/**
 * Namespaces as a layer. It makes no pool until one is asked for, and closes all with its scope.
 *
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<McpNamespaces, never, Platform> =>
  Layer.effect(McpNamespaces, make(options))

/**
 * The pool of a namespace as a layer, for a program that finds the namespaces in its context.
 *
 * @since 0.1.0
 */
export const get = (namespace: string): Layer.Layer<McpPool.McpPool, McpError, McpNamespaces> =>
  Layer.unwrap(Effect.map(McpNamespaces, (namespaces) => namespaces.get(namespace)))
