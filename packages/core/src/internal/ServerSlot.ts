/**
 * One server of a pool: at most one connection that new calls use, its calls, its state, and its figures.
 *
 * `RcMap` would hold the connection as well, but every call would then need a scope of its own, a failed open would be
 * kept for a whole idle time, and entries would close one after the other. Here a call costs two counters.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ServerCatalog } from "../Catalog.ts"
import * as McpConnection from "../McpConnection.ts"
import { AcquireTimeout, ConnectFailed, McpError, PoolClosed, ServerDisabled, Suspended } from "../McpError.ts"
import type { LeasedConnection, Warmed } from "../McpPool.ts"
import type { ServerStats, StatusReport } from "../PoolStats.ts"
import * as ServerConfig from "../ServerConfig.ts"
import type { Server } from "../ServerSource.ts"
import * as ServerStatus from "../ServerStatus.ts"
import * as Admission from "./Admission.ts"
import * as CallTally from "./CallTally.ts"
import { ConnectReport } from "./ConnectReport.ts"
import * as DeadlineWheel from "./DeadlineWheel.ts"
import type { PoolShared } from "./PoolShared.ts"

interface Live {
  readonly connection: McpConnection.Connection
  readonly leased: LeasedConnection
  readonly scope: Scope.Closeable
  readonly openedAt: number
  readonly pid: number | undefined
  users: number
  /** No new calls; it closes when the last one leaves. */
  retired: boolean
  closing: boolean
}

/** One try to open the connection; all who wait for it share its outcome. */
type Attempt = Deferred.Deferred<Live, McpError>

export interface ServerSlot {
  readonly name: string
  readonly source: Server
  readonly admission: Admission.Admission
  /** Runs a request on the connection, opened if need be, inside the limits of server and pool. */
  readonly request: <A>(
    f: (connection: McpConnection.Connection) => Effect.Effect<A, McpError>
  ) => Effect.Effect<A, McpError>
  /** Holds the connection for as long as `f` runs. */
  readonly lease: <A, E, R>(
    f: (connection: LeasedConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | McpError, R>
  readonly acquire: Effect.Effect<LeasedConnection, McpError, Scope.Scope>
  readonly isReady: () => boolean
  readonly catalog: Effect.Effect<ServerCatalog, McpError>
  readonly knownCatalog: () => ServerCatalog | undefined
  readonly warm: Effect.Effect<Warmed>
  /** No new call goes to the connection; running ones end on it. False: there was none. */
  readonly retire: Effect.Effect<boolean>
  /** Retires the connection and opens another. */
  readonly reconnect: Effect.Effect<void, McpError>
  /** Suspends the server and retires its connection once no call runs; false when the limit passed first. */
  readonly drain: (limit: Duration.Duration) => Effect.Effect<boolean>
  /** Takes the server out of use and waits until its last connection has been released. */
  readonly dispose: Effect.Effect<void>
  readonly suspend: (suspended: boolean) => void
  /** Ends connection and attempts and waits for their release; answers how many connections there were, and how many outlived the limit. */
  readonly shutDown: (
    state: "Stopped" | "Closed"
  ) => Effect.Effect<{ readonly closed: number; readonly failed: number }>
  readonly restart: () => void
  readonly status: () => StatusReport
  readonly stats: Effect.Effect<ServerStats>
}

const listChanged = new Set([
  "notifications/tools/list_changed",
  "notifications/resources/list_changed",
  "notifications/prompts/list_changed"
])

const targetOf = (source: Server): string =>
  source._tag === "Stdio" || source._tag === "Http" ? ServerConfig.target(source) : source.identity

const layerOf = (name: string, source: Server) =>
  source._tag === "FromLayer" ? source.layer : McpConnection.layer(source, { server: name })

/** Releases run on real time, whatever clock the pool has: real processes do not know another. */
const realTime = Clock.Clock.defaultValue()

/** Lost before it was sent: the connection went between two moments, and sending it again is safe. */
const sendAgain = (error: McpError): boolean =>
  error.delivery === "NotSent" && (error.reason._tag === "ConnectionLost" || error.reason._tag === "SessionExpired")

export const make = (pool: PoolShared, name: string, source: Server): ServerSlot => {
  const { limits } = source
  const admission = Admission.make({ scope: "Server", acquireTimeout: pool.acquireTimeout, ...limits }, pool.wheel)
  const tally = CallTally.make()
  const releasing = new Set<Fiber.Fiber<boolean>>()
  const building = new Set<Fiber.Fiber<void>>()
  const lives = new Set<Live>()
  const waiters = new Set<{ readonly until: () => boolean; readonly resume: () => void }>()
  let status: ServerStatus.ServerStatus = source.disabled === undefined ? "Idle" : "Disabled"
  let suspended = false
  let keepAlive = limits.keepAlive
  let ended: "Stopped" | "Closed" | undefined
  let current: Live | undefined
  let attempt: Attempt | undefined
  let lastError: McpError | undefined
  let failedAttempts = 0
  let opened = 0
  let lost = 0
  let leases = 0
  let lists: { readonly of: Live; readonly catalog: ServerCatalog } | undefined
  let disarmIdle = () => {}

  const move = (to: ServerStatus.ServerStatus, error?: McpError) => {
    if (status === to) return
    if (!ServerStatus.isLegal(status, to)) throw new Error(`"${name}" cannot go from ${status} to ${to}`)
    const from = status
    status = to
    pool.emit({ _tag: "StatusChanged", server: name, from, to, reason: error?.reason })
  }

  const wake = () => {
    for (const waiter of waiters) {
      if (!waiter.until()) continue
      waiters.delete(waiter)
      waiter.resume()
    }
  }

  /** Waits for something that only the end of a call, an attempt or a release can bring about. */
  const waitUntil = (until: () => boolean): Effect.Effect<void> =>
    Effect.callback((resume) => {
      if (until()) return resume(Effect.void)
      const waiter = { until, resume: () => resume(Effect.void) }
      waiters.add(waiter)
      return Effect.sync(() => waiters.delete(waiter))
    })

  const track = <A>(fibers: Set<Fiber.Fiber<A>>, fiber: Fiber.Fiber<A>): void => {
    fibers.add(fiber)
    fiber.addObserver(() => {
      fibers.delete(fiber)
      wake()
    })
  }

  const annotate = Effect.annotateLogs({ server: name, namespace: pool.namespace })

  /** Closes a connection in the background and answers whether it ended within the limit. The set owns the fibre. */
  const release = (it: Live): void => {
    if (it.closing) return
    it.closing = true
    lives.delete(it)
    const startedAt = realTime.monotonicTimeNanosUnsafe()
    const close = Effect.gen(function* () {
      const step = yield* it.connection.close
      yield* Scope.close(it.scope, Exit.void)
      const closedIn = Duration.nanos(realTime.monotonicTimeNanosUnsafe() - startedAt)
      const { instanceId } = it.connection.info
      pool.emit({ _tag: "ConnectionClosed", server: name, instanceId, step, closedIn })
      if (step === "Survived") {
        yield* Effect.logWarning(`MCP connection timed out after ${Duration.format(limits.closeTimeout)}`)
        return false
      }
      yield* Effect.logInfo("MCP connection closed").pipe(Effect.annotateLogs({ instanceId, step }))
      return true
    }).pipe(
      Effect.catchCause((cause) => Effect.as(Effect.logError("MCP connection failed to close", cause), false)),
      annotate,
      Effect.provideContext(pool.context)
    )
    // Detached, because a release must outlive whoever asked for it; `shutDown` waits for what is in the set.
    const fiber: Fiber.Fiber<boolean> = Effect.runForkWith(pool.context)(close)
    track(releasing, fiber)
  }

  /** No new calls on it; it closes with its last user, or at the ceiling of a call. */
  const retire = (it: Live): void => {
    if (current === it) {
      current = undefined
      disarmIdle()
    }
    if (it.retired) return
    it.retired = true
    if (it.users === 0) release(it)
    else pool.wheel.after(Duration.toMillis(limits.callTimeout), { expire: () => release(it) })
  }

  const armIdle = (it: Live) => {
    if (keepAlive || it !== current) return
    disarmIdle = pool.wheel.after(Duration.toMillis(limits.idleTimeToLive), {
      expire: () => {
        if (it !== current || it.users > 0 || keepAlive) return
        retire(it)
        move("Idle")
      }
    })
  }

  const enter = (it: Live) => {
    if (it.users++ === 0) disarmIdle()
  }

  const leave = (it: Live) => {
    if (--it.users > 0) return
    if (it.retired) release(it)
    else armIdle(it)
    wake()
  }

  const onLost = (it: Live, error: McpError) => {
    lost++
    it.retired = true
    if (current === it) {
      current = undefined
      disarmIdle()
      lastError = error
      move("Recovering", error)
    }
    release(it)
  }

  const watch = (it: Live) => {
    pool.run(
      Effect.flatMap(it.connection.closed, (reason) =>
        it.closing ? Effect.void : Effect.sync(() => onLost(it, new McpError({ reason })))
      )
    )
    pool.run(
      Stream.runForEach(it.connection.notifications, (notification) =>
        listChanged.has(notification.method) && it === current && lists !== undefined
          ? Effect.ignore(refresh) // who reads the lists next meets the failure itself
          : Effect.void
      )
    )
  }

  const onOpened = (it: Live, mine: Attempt) => {
    if (attempt !== mine) return release(it)
    attempt = undefined
    current = it
    lives.add(it)
    opened++
    failedAttempts = 0
    lastError = undefined
    move("Ready")
    const { instanceId, openedIn, protocolVersion } = it.connection.info
    pool.emit({ _tag: "ConnectionOpened", server: name, instanceId, pid: it.pid, protocolVersion, openedIn })
    watch(it)
    armIdle(it)
    Deferred.doneUnsafe(mine, Effect.succeed(it))
  }

  const onFailed = (error: McpError, mine: Attempt) => {
    if (attempt === mine) {
      attempt = undefined
      failedAttempts++
      lastError = error
      move("Recovering", error)
    }
    Deferred.doneUnsafe(mine, Effect.fail(error))
  }

  const closedError = () => new McpError({ reason: new PoolClosed({ server: name, state: ended ?? "Closed" }) })

  const failure = (cause: Cause.Cause<McpError>): McpError => {
    const error = Cause.findErrorOption(cause)
    if (Option.isSome(error)) return error.value
    if (Cause.hasInterruptsOnly(cause)) return closedError()
    const detail = Cause.prettyErrors(cause)
      .map((defect) => defect.message)
      .join("; ")
    const about = { server: name, target: targetOf(source), stderr: "", noise: [], attempt: failedAttempts + 1 }
    return new McpError({ reason: new ConnectFailed({ ...about, phase: "Build", detail }) })
  }

  /** `before` is what earlier connections still do; it ends first, so that a server never runs twice. */
  const connect = (mine: Attempt, before: ReadonlyArray<Fiber.Fiber<unknown>>) =>
    Effect.gen(function* () {
      yield* Effect.forEach(before, Fiber.await, { discard: true })
      const scope = yield* Scope.make()
      const built = Layer.buildWithScope(Layer.fresh(layerOf(name, source)), scope).pipe(
        Effect.map((context) => Context.get(context, McpConnection.McpConnection)),
        Effect.provideService(DeadlineWheel.DeadlineWheel, pool.wheel),
        Effect.provideService(ConnectReport, {
          attempt: failedAttempts + 1,
          failed: (error) => Effect.sync(() => onFailed(error, mine))
        })
      )
      const it = Effect.flatMap(built, (connection) =>
        Effect.map(connection.diagnostics, ({ pid }): Live => {
          const { close: _, ...leased } = connection
          const openedAt = pool.wheel.now()
          return { connection, leased, scope, openedAt, pid, users: 0, retired: false, closing: false }
        })
      )
      yield* Effect.onExit(it, (exit) =>
        Exit.isSuccess(exit)
          ? Effect.sync(() => onOpened(exit.value, mine))
          : Effect.ensuring(
              Scope.close(scope, exit),
              Effect.sync(() => onFailed(failure(exit.cause), mine))
            )
      )
    }).pipe(
      // Those who wait have been told by `onFailed`; nobody looks at the fibre.
      Effect.ignoreCause
    )

  const open: Effect.Effect<Live, McpError> = Effect.suspend(() => {
    if (current !== undefined) return Effect.succeed(current)
    if (ended !== undefined) return closedError()
    if (attempt !== undefined) return Deferred.await(attempt)
    const mine: Attempt = Deferred.makeUnsafe()
    attempt = mine
    move("Connecting")
    track(building, pool.run(connect(mine, [...building, ...releasing])))
    return Deferred.await(mine)
  })

  const refusal = (): McpError | undefined => {
    if (source.disabled !== undefined) {
      return new McpError({ reason: new ServerDisabled({ server: name, why: source.disabled }) })
    }
    if (ended !== undefined) return closedError()
    return suspended ? new McpError({ reason: new Suspended({ server: name }) }) : undefined
  }

  const giveBack = (it: Live) => {
    leave(it)
    admission.leave()
    pool.gate.leave()
  }

  /**
   * A place in the server's limit and in the pool's, and the connection. Only the waits are interruptible, so that no
   * place is lost between them.
   */
  const take = (restore: <A, E, R>(wait: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
    const refused = refusal()
    if (refused !== undefined) return refused
    if (current !== undefined && admission.tryTake()) {
      if (pool.gate.tryTake()) {
        enter(current)
        return Effect.succeed(current)
      }
      admission.leave()
    }
    const until = pool.wheel.now() + Duration.toMillis(pool.acquireTimeout)
    const left = () => Math.max(0, Math.ceil(until - pool.wheel.now()))
    const opened = Effect.suspend(() =>
      Effect.timeoutOrElse(open, {
        duration: left(),
        orElse: () => new McpError({ reason: new AcquireTimeout({ server: name, waited: pool.acquireTimeout }) })
      })
    )
    return restore(Effect.suspend(() => admission.take(name, left()))).pipe(
      Effect.andThen(
        Effect.suspend(() => pool.gate.take(name, left())).pipe(
          restore,
          Effect.andThen(Effect.onError(restore(opened), () => Effect.sync(pool.gate.leave))),
          Effect.onError(() => Effect.sync(admission.leave))
        )
      ),
      Effect.tap((it) => Effect.sync(() => enter(it)))
    )
  }

  const borrow = <A, E, R>(
    f: (it: Live) => Effect.Effect<A, E, R>,
    onEnd: (exit: Exit.Exit<A, E | McpError>) => void
  ): Effect.Effect<A, E | McpError, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.matchCauseEffect(take(restore), {
        onFailure: (cause) => {
          const exit = Exit.failCause(cause)
          onEnd(exit)
          return exit
        },
        onSuccess: (it) =>
          Effect.onExit(restore(f(it)), (exit) =>
            Effect.sync(() => {
              giveBack(it)
              onEnd(exit)
            })
          )
      })
    )

  const request = <A>(f: (connection: McpConnection.Connection) => Effect.Effect<A, McpError>) => {
    const once = borrow((it) => f(it.connection), tally.count)
    return Effect.catchIf(once, sendAgain, () => once)
  }

  const readLists = (it: Live): Effect.Effect<ServerCatalog, McpError> =>
    Effect.map(
      Effect.all(
        {
          tools: it.connection.listTools,
          resources: it.connection.listResources,
          resourceTemplates: it.connection.listResourceTemplates,
          prompts: it.connection.listPrompts
        },
        { concurrency: "unbounded" }
      ),
      (found) => {
        const catalog: ServerCatalog = { server: name, ...found, stale: false }
        const before = lists?.catalog
        lists = { of: it, catalog }
        if (before === undefined || JSON.stringify({ ...before, stale: false }) !== JSON.stringify(catalog)) {
          pool.catalogChanged(name)
        }
        return catalog
      }
    )

  const refresh = borrow(readLists, () => {})

  const retireCurrent = (): boolean => {
    if (current === undefined) return false
    retire(current)
    move("Idle")
    return true
  }

  /** Those who wait for the attempt are told; whoever waits next meets the end of the server. */
  const abandonAttempt = () => {
    if (attempt === undefined) return
    const waited = attempt
    attempt = undefined
    Deferred.doneUnsafe(waited, closedError())
  }

  const slot: ServerSlot = {
    name,
    source,
    admission,
    request,
    lease: (f) =>
      Effect.suspend(() => {
        leases++
        return Effect.ensuring(
          borrow(
            (it) => f(it.leased),
            () => {}
          ),
          Effect.sync(() => {
            leases--
          })
        )
      }),
    acquire: Effect.uninterruptibleMask((restore) =>
      Effect.map(
        Effect.tap(
          Effect.suspend(() => take(restore)),
          (it) => Effect.addFinalizer(() => Effect.sync(() => giveBack(it)))
        ),
        (it) => it.leased
      )
    ),
    isReady: () => current !== undefined,
    catalog: Effect.suspend(() =>
      lists !== undefined && lists.of === current ? Effect.succeed(lists.catalog) : refresh
    ),
    knownCatalog: () =>
      lists === undefined ? undefined : lists.of === current ? lists.catalog : { ...lists.catalog, stale: true },
    warm: Effect.suspend(() => {
      const refused = refusal()
      if (refused !== undefined) return Effect.succeed({ ok: false, error: refused } as const)
      keepAlive = true
      retireCurrent()
      return Effect.match(open, {
        onFailure: (error) => ({ ok: false, error }) as const,
        onSuccess: (it) => ({ ok: true, openedIn: it.connection.info.openedIn }) as const
      })
    }),
    retire: Effect.sync(retireCurrent),
    reconnect: Effect.suspend(() => {
      const refused = refusal()
      if (refused !== undefined) return refused
      retireCurrent()
      return Effect.asVoid(open)
    }),
    drain: (limit) =>
      Effect.gen(function* () {
        suspended = true
        const quiet = yield* Effect.timeoutOption(
          waitUntil(() => admission.running() === 0),
          limit
        )
        retireCurrent()
        return Option.isSome(quiet)
      }),
    dispose: Effect.gen(function* () {
      ended = "Closed"
      abandonAttempt()
      retireCurrent()
      yield* waitUntil(() => lives.size === 0 && building.size === 0 && releasing.size === 0)
    }),
    suspend: (value) => {
      suspended = value
    },
    shutDown: (state) =>
      Effect.gen(function* () {
        ended = state
        if (status !== "Closed" && status !== "Closing") move("Closing")
        abandonAttempt()
        yield* Fiber.interruptAll(building)
        current = undefined
        disarmIdle()
        for (const it of lives) release(it)
        const outcomes = yield* Effect.forEach(releasing, Fiber.await, { concurrency: "unbounded" })
        if (status === "Closing") move("Closed")
        return {
          closed: outcomes.length,
          failed: outcomes.filter((exit) => !Exit.isSuccess(exit) || !exit.value).length
        }
      }),
    restart: () => {
      if (ended !== "Stopped") return
      ended = undefined
      move(source.disabled === undefined ? "Idle" : "Disabled")
    },
    status: () => ({
      server: name,
      status,
      classic: ServerStatus.toClassic(status),
      suspended,
      detail: source.disabled ?? lastError?.message,
      lastError
    }),
    stats: Effect.gen(function* () {
      const it = current
      const seen = it === undefined ? undefined : yield* it.connection.diagnostics
      return {
        ...slot.status(),
        target: targetOf(source),
        pid: it?.pid,
        protocolVersion: it?.connection.info.protocolVersion,
        uptimeMillis: it === undefined ? undefined : Math.round(pool.wheel.now() - it.openedAt),
        opened,
        lost,
        calls: tally.counts(),
        running: admission.running(),
        waiting: admission.waiting(),
        leases,
        noiseCount: seen?.noiseCount ?? 0,
        noise: seen?.noise ?? []
      }
    })
  }
  return slot
}
