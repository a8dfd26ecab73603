/**
 * One server of a pool: at most one connection that new calls use, its calls, its state, and its figures.
 *
 * `RcMap` would hold the connection as well, but it keeps a failed open for a whole idle time, reports it only after the
 * release, closes entries one after the other, and cannot say which calls still run on a connection that it has let go.
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
import { Authorizers } from "../Authorizers.ts"
import type { ServerCatalog } from "../Catalog.ts"
import * as McpConnection from "../McpConnection.ts"
import { AcquireTimeout, ConnectFailed, McpError, PoolClosed, ServerDisabled, Suspended } from "../McpError.ts"
import type { LeasedConnection, Warmed } from "../McpPool.ts"
import type { ServerStats, StatusReport } from "../PoolStats.ts"
import * as ServerConfig from "../ServerConfig.ts"
import type { Server } from "../ServerSource.ts"
import * as ServerStatus from "../ServerStatus.ts"
import * as Admission from "./Admission.ts"
import { Namespace } from "./authorise.ts"
import * as CallTally from "./CallTally.ts"
import { ConnectReport } from "./ConnectReport.ts"
import * as DeadlineWheel from "./DeadlineWheel.ts"
import * as EraVerdict from "./EraVerdict.ts"
import type { PoolShared } from "./PoolShared.ts"
import * as Redaction from "./redaction.ts"

interface Live {
  readonly connection: McpConnection.Connection
  readonly leased: LeasedConnection
  readonly scope: Scope.Closeable
  readonly openedAt: number
  readonly pid: number | undefined
  users: number
  /** No new calls; it closes when the last one leaves. */
  retired: boolean
  /** It ended by itself. */
  lost: boolean
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
  /** Holds the connection until the scope closes. */
  readonly acquire: Effect.Effect<LeasedConnection, McpError, Scope.Scope>
  /** The same, but nothing where one would have to be opened. */
  readonly acquireIfWarm: Effect.Effect<Option.Option<LeasedConnection>, McpError, Scope.Scope>
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
  "identity" in source ? source.identity : Redaction.make(ServerConfig.secrets(source))(ServerConfig.target(source))

const layerOf = (name: string, source: Server) =>
  source._tag === "FromLayer" ? source.layer : McpConnection.layer(source, { server: name })

/** Releases run on real time, whatever clock the pool has: real processes do not know another. */
const realTime = Clock.Clock.defaultValue()

/** Lost before it was sent: the connection went between two moments, and sending it again is safe. */
const sendAgain = (error: McpError): boolean =>
  error.delivery === "NotSent" && (error.reason._tag === "ConnectionLost" || error.reason._tag === "SessionExpired")

export const make = (pool: PoolShared, name: string, source: Server): ServerSlot => {
  // A server may take less time to close than the pool has, never more: nothing may outlive the pool's own limit.
  const limits = { ...source.limits, closeTimeout: Duration.min(source.limits.closeTimeout, pool.closeTimeout) }
  const admission = Admission.make({ scope: "Server", acquireTimeout: pool.acquireTimeout, ...limits }, pool.wheel)
  const tally = CallTally.make()
  const verdict = EraVerdict.make(pool.wheel.now)
  const releasing = new Set<Fiber.Fiber<boolean>>()
  const building = new Set<Fiber.Fiber<void>>()
  const lives = new Set<Live>()
  const waiters = new Set<{ readonly until: () => boolean; readonly resume: () => void }>()
  let status: ServerStatus.ServerStatus = source.disabled === undefined ? "Idle" : "Disabled"
  let suspended = false
  let discarded = false
  let keepAlive = limits.keepAlive
  let ended: "Stopped" | "Closed" | undefined
  let current: Live | undefined
  let attempt: Attempt | undefined
  let lastError: McpError | undefined
  let failedAttempts = 0
  let opened = 0
  let lost = 0
  let leases = 0
  /** `of` is the connection that these lists are true of; none once it has said that they have changed. */
  let lists: { readonly of: Live | undefined; readonly catalog: ServerCatalog } | undefined
  let listChanges = 0
  let disarmIdle = () => {}

  const move = (to: ServerStatus.ServerStatus, error?: McpError) => {
    if (status === to) return
    if (!ServerStatus.isLegal(status, to)) throw new Error(`"${name}" cannot go from ${status} to ${to}`)
    const from = status
    status = to
    // The name may be another's by now.
    if (!discarded) pool.emit({ _tag: "StatusChanged", server: name, from, to, reason: error?.reason })
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

  /** No new calls on it; it closes with its last user. Each call has its own limit, and a lease its scope. */
  const retire = (it: Live): void => {
    if (current === it) {
      current = undefined
      disarmIdle()
    }
    if (it.retired) return
    it.retired = true
    if (it.users === 0) release(it)
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
  }

  /** A request could not be sent on it. Others may still be answered: it closes with the last of them. */
  const abandon = (it: Live, error: McpError) => {
    if (current !== it) return
    lost++
    it.lost = true
    retire(it)
    lastError = error
    move("Recovering", error)
  }

  const onLost = (it: Live, error: McpError) => {
    if (it.lost || it.closing) return
    lost++
    it.lost = true
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
    pool.run(Effect.flatMap(it.connection.closed, (reason) => Effect.sync(() => onLost(it, new McpError({ reason })))))
    pool.run(
      Stream.runForEach(it.connection.notifications, (notification) => {
        if (!listChanged.has(notification.method)) return Effect.void
        listChanges++
        if (it !== current || lists === undefined) return Effect.void
        lists = { ...lists, of: undefined }
        return Effect.ignore(refresh) // who reads the lists next tries again and meets the failure itself
      })
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
    pool.run(Effect.logInfo("MCP connection opened").pipe(Effect.annotateLogs({ instanceId }), annotate))
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
    return buildFailed(
      Cause.prettyErrors(cause)
        .map((defect) => defect.message)
        .join("; ")
    )
  }

  const buildFailed = (detail: string): McpError => {
    const about = { server: name, target: targetOf(source), stderr: "", noise: [], attempt: failedAttempts + 1 }
    return new McpError({ reason: new ConnectFailed({ ...about, phase: "Build", detail }) })
  }

  /**
   * Our own connections keep `connectTimeout` themselves, and say more; a layer or transport of the user's may know none, or
   * not let itself be interrupted. It is reported without a wait for the build to end, which may take its time even then.
   */
  const limitBuild = (mine: Attempt, fiber: Fiber.Fiber<unknown, unknown>): (() => void) => {
    const grace = source._tag === "FromLayer" ? 0 : 250
    return pool.wheel.after(Duration.toMillis(limits.connectTimeout) + grace, {
      expire: () => {
        onFailed(buildFailed(`not built within ${Duration.format(limits.connectTimeout)} (connectTimeout)`), mine)
        fiber.interruptUnsafe()
      }
    })
  }

  /** `before` is what earlier connections still do; it ends first, so that a server never runs twice. */
  const connect = (mine: Attempt, before: ReadonlyArray<Fiber.Fiber<unknown>>) =>
    Effect.gen(function* () {
      // Ours end within their limit; a layer of the user's whose release does not is not waited for for ever.
      yield* Effect.forEach(before, Fiber.await, { discard: true }).pipe(
        Effect.timeoutOption(Duration.times(limits.closeTimeout, 1.2)),
        Effect.provideService(Clock.Clock, realTime)
      )
      const scope = yield* Scope.make()
      const built = Layer.buildWithScope(Layer.fresh(layerOf(name, { ...source, limits })), scope).pipe(
        Effect.map((context) => Context.get(context, McpConnection.McpConnection)),
        Effect.provideService(DeadlineWheel.DeadlineWheel, pool.wheel),
        Effect.provideService(Authorizers, pool.authorizers),
        Effect.provideService(Namespace, pool.namespace),
        Effect.provideService(EraVerdict.EraVerdict, verdict),
        Effect.provideService(ConnectReport, {
          attempt: failedAttempts + 1,
          failed: (error) => Effect.sync(() => onFailed(error, mine))
        })
      )
      const it = Effect.flatMap(built, (connection) =>
        Effect.map(connection.diagnostics, ({ pid }): Live => {
          const { close: _, ...leased } = connection
          const openedAt = pool.wheel.now()
          return { connection, leased, scope, openedAt, pid, users: 0, retired: false, lost: false, closing: false }
        })
      )
      const disarm = limitBuild(mine, yield* Effect.fiber)
      yield* Effect.onExit(it, (exit) => {
        disarm()
        return Exit.isSuccess(exit)
          ? Effect.sync(() => onOpened(exit.value, mine))
          : Effect.andThen(
              Effect.sync(() => onFailed(failure(exit.cause), mine)),
              Scope.close(scope, exit)
            )
      })
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
    // Detached as a release is, because it may end in one; `shutDown` interrupts what is in the set.
    const fiber: Fiber.Fiber<void> = Effect.runForkWith(pool.context)(connect(mine, [...building, ...releasing]))
    track(building, fiber)
    return Deferred.await(mine)
  })

  const refusal = (): McpError | undefined => {
    if (source.disabled !== undefined) {
      return new McpError({ reason: new ServerDisabled({ server: name, why: source.disabled }) })
    }
    if (ended !== undefined) return closedError()
    return suspended ? new McpError({ reason: new Suspended({ server: name }) }) : undefined
  }

  const leavePlace = () => {
    admission.leave()
    wake()
  }

  const giveBack = (it: Live) => {
    leave(it)
    pool.gate.leave()
    leavePlace()
  }

  /**
   * A place in the server's limit and in the pool's, and the connection. Only the waits are interruptible, so that no
   * place is lost between them.
   */
  const take = <E = never>(
    restore: Admission.Restore,
    connection: Effect.Effect<Live, McpError | E> = open
  ): Effect.Effect<Live, McpError | E> => {
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
    const opened = Effect.suspend(
      // A server suspended meanwhile is so for those in the queue, too.
      () =>
        refusal() ??
        Effect.timeoutOrElse(connection, {
          duration: left(),
          orElse: () => new McpError({ reason: new AcquireTimeout({ server: name, waited: pool.acquireTimeout }) })
        })
    )
    const entered = (it: Live): Effect.Effect<Live, McpError | E> => {
      // Retired by us on the way from there to here. One that was lost is not waited for twice.
      if (it.retired && !it.lost) return Effect.flatMap(restore(opened), entered)
      enter(it)
      return Effect.succeed(it)
    }
    // Opened before the pool's place is taken: servers that are slow to open must not use up the places of the others.
    return admission.take(name, left(), restore).pipe(
      Effect.andThen(
        Effect.flatMap(restore(opened), (it) =>
          Effect.andThen(
            Effect.suspend(() => pool.gate.take(name, left(), restore)),
            Effect.onError(
              Effect.suspend(() => entered(it)),
              () => Effect.sync(pool.gate.leave)
            )
          )
        ).pipe(Effect.onError(() => Effect.sync(leavePlace)))
      )
    )
  }

  const borrow = <A>(f: (it: Live) => Effect.Effect<A, McpError>): Effect.Effect<A, McpError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(take(restore), (it) =>
        Effect.onExit(restore(f(it)), (exit) =>
          Effect.sync(() => {
            // Who is told first may be this call: the next one must not meet the same connection.
            const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
            if (error !== undefined && sendAgain(error)) abandon(it, error)
            giveBack(it)
          })
        )
      )
    )

  const request = <A>(f: (connection: McpConnection.Connection) => Effect.Effect<A, McpError>) => {
    const once = borrow((it) => f(it.connection))
    return Effect.onExit(
      Effect.catchIf(once, sendAgain, () => once),
      (exit) => Effect.sync(() => tally.count(exit))
    )
  }

  const acquire = <E = never>(connection?: Effect.Effect<Live, McpError | E>) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.map(
        Effect.tap(
          Effect.suspend(() => take(restore, connection)),
          (it) => {
            leases++
            return Effect.addFinalizer(() =>
              Effect.sync(() => {
                leases--
                giveBack(it)
              })
            )
          }
        ),
        (it) => it.leased
      )
    )

  const readLists = (it: Live): Effect.Effect<ServerCatalog, McpError> => {
    const changesBefore = listChanges
    return Effect.map(
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
        lists = { of: listChanges === changesBefore ? it : undefined, catalog }
        if (before === undefined || JSON.stringify({ ...before, stale: false }) !== JSON.stringify(catalog)) {
          pool.catalogChanged(name)
        }
        return catalog
      }
    )
  }

  const refresh = borrow(readLists)
  const listsAreFresh = () => current !== undefined && lists?.of === current

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
    acquire: acquire(),
    acquireIfWarm: Effect.suspend(() =>
      current === undefined
        ? Effect.succeedNone
        : acquire(
            Effect.suspend(() => (current === undefined ? Effect.fail("Cold" as const) : Effect.succeed(current)))
          ).pipe(
            Effect.asSome,
            Effect.catchIf(
              (error) => error === "Cold",
              () => Effect.succeedNone
            )
          )
    ),
    catalog: Effect.suspend(() => (lists !== undefined && listsAreFresh() ? Effect.succeed(lists.catalog) : refresh)),
    knownCatalog: () => (lists === undefined || listsAreFresh() ? lists?.catalog : { ...lists.catalog, stale: true }),
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
      discarded = true
      ended = "Closed"
      abandonAttempt()
      admission.refuseAll(closedError())
      yield* Fiber.interruptAll(building)
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
        // First, so that nothing that happens to the connection during the waits is taken for a change of the server.
        current = undefined
        disarmIdle()
        abandonAttempt()
        admission.refuseAll(closedError())
        for (const it of lives) release(it)
        const outcomes = yield* Effect.gen(function* () {
          yield* Fiber.interruptAll(building)
          return yield* Effect.forEach(releasing, Fiber.await, { concurrency: "unbounded" })
        }).pipe(
          // Also when the waits are given up: a stopped pool must be able to start again.
          Effect.ensuring(
            Effect.sync(() => {
              if (status === "Closing") move("Closed")
            })
          )
        )
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
