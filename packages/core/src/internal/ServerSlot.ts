/**
 * One server of a pool: at most one connection that new calls use, its calls, its state, and its figures.
 *
 * `RcMap` would hold the connection as well, but it keeps a failed open for a whole idle time, reports it only after the
 * release, closes entries one after the other, and cannot say which calls still run on a connection that it has let go.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ServerCatalog } from "../Catalog.ts"
import type { Connection } from "../McpConnection.ts"
import { McpError, Unhealthy } from "../McpError.ts"
import type { LeasedConnection, Warmed } from "../McpPool.ts"
import type { ServerStats, StatusReport } from "../PoolStats.ts"
import type { Server } from "../ServerSource.ts"
import * as Admission from "./Admission.ts"
import * as Borrowing from "./Borrowing.ts"
import * as CallTally from "./CallTally.ts"
import * as Connections from "./Connections.ts"
import * as Exclusive from "./Exclusive.ts"
import * as HealthWatch from "./HealthWatch.ts"
import type { Live } from "./Live.ts"
import * as Opening from "./Opening.ts"
import * as PoolMetrics from "./poolMetrics.ts"
import type { PoolShared } from "./PoolShared.ts"
import type * as RestartPolicy from "./RestartPolicy.ts"
import * as ServerLists from "./ServerLists.ts"
import * as SlotEnv from "./SlotEnv.ts"
import * as SlotStatus from "./SlotStatus.ts"
import * as Supervision from "./Supervision.ts"
import { targetOf } from "./target.ts"
import * as Waiters from "./Waiters.ts"

export interface ServerSlot {
  readonly name: string
  readonly source: Server
  /** Runs a request on the connection, opened if need be, inside the limits of server and pool. */
  readonly request: <A>(f: (connection: Connection) => Effect.Effect<A, McpError>) => Effect.Effect<A, McpError>
  /** Holds the connection until the scope closes. */
  readonly acquire: Effect.Effect<LeasedConnection, McpError, Scope.Scope>
  /** The same, but nothing where one would have to be opened. */
  readonly acquireIfWarm: Effect.Effect<Option.Option<LeasedConnection>, McpError, Scope.Scope>
  readonly catalog: Effect.Effect<ServerCatalog, McpError>
  readonly knownCatalog: () => ServerCatalog | undefined
  /** Why it is not known what the server offers now, if that could not be learnt. */
  readonly unavailable: () => McpError | undefined
  readonly warm: Effect.Effect<Warmed>
  /** Opens a connection, if there is none. */
  readonly open: Effect.Effect<void, McpError>
  /** No new call goes to the connection; running ones end on it. False: there was none. */
  readonly retire: Effect.Effect<boolean>
  /** Retires the connection and opens another. */
  readonly reconnect: Effect.Effect<void, McpError>
  /** Suspends the server and retires its connection once no call runs; false when the limit passed first. */
  readonly drain: (limit: Duration.Duration) => Effect.Effect<boolean>
  /** Takes the server out of use, at once; the effect waits until its last connection has been released. */
  readonly discard: () => Effect.Effect<void>
  /** The attempts and releases that run. */
  readonly ending: () => ReadonlyArray<Fiber.Fiber<unknown>>
  readonly suspend: (suspended: boolean) => void
  /** Takes no calls any more, and opens nothing; what is open stays so. */
  readonly refuseAll: (state: "Stopped" | "Closed") => void
  /** Ends connection and attempts and waits for their release; answers how many connections there were, and how many outlived the limit. */
  readonly shutDown: (
    state: "Stopped" | "Closed"
  ) => Effect.Effect<{ readonly closed: number; readonly failed: number }>
  readonly restart: () => void
  readonly status: () => StatusReport
  readonly stats: Effect.Effect<ServerStats>
  /** Takes its metrics away. */
  readonly hide: () => void
}

/** How the connections of the server are lent: one to all at the same time, or each to one caller. */
interface Lending {
  readonly connections: Connections.Connections
  readonly opening: Opening.Opening
  readonly health: HealthWatch.HealthWatch
}

export const make = (pool: PoolShared, name: string, source: Server): ServerSlot => {
  const env = SlotEnv.make(pool, name, source)
  const isExclusive = env.limits.sharing === "exclusive"
  const places = isExclusive ? { maxConcurrency: env.limits.exclusive.max } : {}
  const admission = Admission.make(
    { scope: "Server", acquireTimeout: pool.acquireTimeout, ...env.limits, ...places },
    pool.wheel
  )
  const tally = CallTally.make()
  const waiters = Waiters.make()
  const state = SlotStatus.make(env)
  const status = isExclusive ? SlotStatus.ofMany(state, () => connections.size() > 0 || opening.isOpening()) : state
  let opened = 0
  let lost = 0
  let recycled = 0
  let connectFailures = 0
  let restarts = 0
  let hasFailed = false

  const onOpened = (it: Live) => {
    connections.add(it)
    opened++
    status.ready()
    const { instanceId, openedIn, protocolVersion } = it.connection.info
    pool.emit({ _tag: "ConnectionOpened", server: name, instanceId, pid: it.pid, protocolVersion, openedIn })
    health.watch(it)
    pool.run(Effect.flatMap(it.connection.closed, (reason) => Effect.sync(() => onLost(it, new McpError({ reason })))))
    pool.run(Stream.runForEach(it.connection.notifications, ({ method }) => lists.onNotification(it, method)))
    pool.run(env.log("opened", { instanceId }))
    if (!hasFailed) return
    hasFailed = false
    restarts++
    pool.run(env.log("recovered", { instanceId }))
  }

  const onFailed = (error: McpError, failure: RestartPolicy.Failure) => {
    hasFailed = true
    pool.run(env.log("failed", { reason: error.reason._tag, error: error.message }))
    supervision.onFailure(error, failure)
    if (status.get() === "CircuitOpen") pool.run(env.log("circuitOpen", { retryAfterMillis: supervision.retryAfter() }))
  }

  const recover = (it: Live, error: McpError) => {
    if (it.users > 0) supervision.want()
    onFailed(error, { lasted: pool.wheel.now() - it.openedAt })
  }

  const onLost = (it: Live, error: McpError) => {
    if (it.lost || it.closing) return
    lost++
    const wasCurrent = connections.lose(it)
    connections.release(it)
    if (wasCurrent) recover(it, error)
  }

  /** The next call must not meet this connection. Others may still be answered on it: it closes with the last of them. */
  const onUnsent = (it: Live, error: McpError) => {
    if (!connections.isInUse(it)) return
    lost++
    it.lost = true
    connections.retire(it)
    // A session that is over is no failure of the server's.
    if (error.reason._tag === "SessionExpired") status.failed(error)
    else recover(it, error)
  }

  /** Calls that run on it go on; who comes next gets another one. */
  const onUnhealthy = (it: Live, error: McpError) => {
    recycled++
    // Degraded by the last failure, if not before.
    status.failed(error, "Degraded")
    connections.retire(it)
    recover(it, error)
  }

  const onCallFailed = (it: Live, error: McpError) => {
    const { _tag } = error.reason
    // Somebody used it who has left by the time that it is known what the matter is.
    if (_tag === "ConnectionLost" || _tag === "CallTimeout") supervision.want()
    if (_tag === "CallTimeout") health.suspect(it)
    if (Borrowing.sendAgain(error)) onUnsent(it, error)
  }

  const host: Omit<Opening.Host, "before" | "release"> = {
    closedError: status.closedError,
    failed: { count: 0 },
    onStart: () => {
      supervision.onStart()
      status.move("Connecting")
    },
    onOpened,
    end: (it, { force = false }) =>
      Effect.suspend(() => {
        const wasInUse = connections.isInUse(it)
        connections.retire(it)
        if (wasInUse) status.move("Idle")
        const quiet = waiters.waitUntil(() => it.closing)
        return (force ? Effect.void : Effect.timeoutOption(quiet, env.limits.closeTimeout)).pipe(
          Effect.flatMap(() => {
            connections.release(it)
            return it.released === undefined ? Effect.succeed(true) : Fiber.join(it.released)
          })
        )
      }),
    onFailed: (error, attempted) => {
      if (admission.running() > 0) supervision.want()
      connectFailures++
      onFailed(error, { attempted })
    }
  }

  const watchShared: HealthWatch.Host = {
    current: () => connections.current(),
    onHealthy: () => {
      if (status.get() === "Degraded") status.ready()
    },
    onDegraded: (error) => {
      if (status.get() === "Ready") pool.run(env.log("degraded", { error: error.message }))
      status.failed(error, "Degraded")
    },
    onUnhealthy
  }

  const lendShared = (): Lending => {
    const connections = Connections.make(env, waiters, () => status.move("Idle"))
    const opening = Opening.make(env, waiters, {
      ...host,
      before: () => [...connections.releasing, ...pool.ending(name)],
      release: connections.release
    })
    return { connections, opening, health: HealthWatch.make(env, watchShared) }
  }

  const lendExclusive = (): Lending => {
    const { connections, opening, suspect } = Exclusive.make(env, waiters, {
      ...host,
      mayOpen: () => status.refusal() === undefined && supervision.retryAfter() === undefined,
      onEmpty: () => {
        if (status.get() === "Ready") status.move("Idle")
      },
      onUnhealthy: (it, { check, why }) =>
        onUnhealthy(it, new McpError({ reason: new Unhealthy({ server: name, check, detail: why, failures: 1 }) }))
    })
    return { connections, opening, health: { watch: () => {}, suspect, end: () => {} } }
  }

  const { connections, health, opening } = isExclusive ? lendExclusive() : lendShared()

  const supervision = Supervision.make(env, status, () => void opening.open())

  if (isExclusive && env.limits.exclusive.min > 0) supervision.keepAlive()

  const openUnless = (refusal?: () => McpError | undefined): Effect.Effect<Live, McpError> =>
    Effect.suspend(() => {
      const current = connections.current()
      if (current !== undefined) return Effect.succeed(current)
      return status.hasEnded() ? status.closedError() : opening.open(refusal)
    })

  const open = openUnless(supervision.refusal)

  /** Whatever its circuit says. */
  const openAnew = openUnless()

  const borrowing = Borrowing.make(env, {
    admission,
    connections,
    tally,
    refusal: status.refusal,
    open,
    onFailure: onCallFailed,
    onLeft: waiters.wake
  })
  const lists = ServerLists.make(env, borrowing.borrow, connections, status)

  const retireCurrent = (): boolean => {
    const retired = connections.retireCurrent()
    if (retired) status.move("Idle")
    return retired
  }

  /** Those who wait are told; whoever waits next meets the end of the server. */
  const refuseWaiting = () => {
    opening.abandon()
    admission.refuseAll(status.closedError())
  }

  const report = (): StatusReport => ({ ...status.report(), retryAfterMillis: supervision.retryAfter() })

  const figures = (): PoolMetrics.ServerFigures => ({
    status: status.get(),
    connections: connections.size(),
    opened,
    lost,
    recycled,
    connectFailures,
    restarts,
    calls: tally.counts(),
    latency: tally.latency.stats(),
    running: admission.running(),
    waiting: admission.waiting(),
    leases: borrowing.leases()
  })

  const hide = PoolMetrics.ofServer(pool.context, { namespace: pool.namespace, server: name }, figures, tally.latency)

  return {
    name,
    source,
    request: borrowing.request,
    acquire: borrowing.acquire,
    acquireIfWarm: borrowing.acquireIfWarm,
    catalog: lists.read,
    knownCatalog: lists.known,
    unavailable: lists.failure,
    warm: Effect.suspend(() => {
      const refused = status.refusal()
      if (refused !== undefined) return Effect.succeed({ ok: false, error: refused } as const)
      connections.keepAlive()
      supervision.keepAlive()
      retireCurrent()
      return Effect.match(openAnew, {
        onFailure: (error) => ({ ok: false, error }) as const,
        onSuccess: (it) => ({ ok: true, openedIn: it.connection.info.openedIn }) as const
      })
    }),
    open: Effect.suspend(() => status.refusal() ?? Effect.asVoid(open)),
    retire: Effect.sync(retireCurrent),
    reconnect: Effect.suspend(() => {
      const refused = status.refusal()
      if (refused !== undefined) return refused
      retireCurrent()
      return Effect.asVoid(openAnew)
    }),
    drain: (limit) =>
      Effect.gen(function* () {
        status.suspend(true)
        const quiet = yield* Effect.timeoutOption(
          waiters.waitUntil(() => admission.running() === 0),
          limit
        )
        retireCurrent()
        return Option.isSome(quiet)
      }),
    discard: () => {
      status.discard()
      hide()
      health.end()
      supervision.end()
      // First, so that whoever is sent on to the next server of that name waits for the release.
      retireCurrent()
      refuseWaiting()
      return Effect.andThen(
        opening.interrupt,
        waiters.waitUntil(() => connections.areGone() && opening.building().length === 0)
      )
    },
    ending: () => [...opening.building(), ...connections.releasing],
    suspend: (suspended) => {
      status.suspend(suspended)
      if (!suspended) supervision.resume()
    },
    refuseAll: (state) => {
      status.end(state)
      health.end()
      supervision.end()
      refuseWaiting()
    },
    shutDown: (state) =>
      Effect.gen(function* () {
        status.end(state)
        health.end()
        supervision.end()
        if (status.get() !== "Closed" && status.get() !== "Closing") status.move("Closing")
        connections.releaseAll()
        refuseWaiting()
        const outcomes = yield* Effect.gen(function* () {
          yield* opening.interrupt
          return yield* Effect.forEach(connections.releasing, Fiber.await, { concurrency: "unbounded" })
        }).pipe(
          // Also when the waits are given up: a stopped pool must be able to start again.
          Effect.ensuring(
            Effect.sync(() => {
              if (status.get() === "Closing") status.move("Closed")
            })
          )
        )
        return {
          closed: outcomes.length,
          failed: outcomes.filter((exit) => !Exit.isSuccess(exit) || !exit.value).length
        }
      }),
    restart: () => {
      supervision.restart()
      status.restart()
    },
    hide,
    status: report,
    stats: Effect.gen(function* () {
      const it = connections.shown()
      const seen = it === undefined ? undefined : yield* it.connection.diagnostics
      return {
        ...report(),
        ...figures(),
        target: targetOf(source),
        pid: it?.pid,
        protocolVersion: it?.connection.info.protocolVersion,
        era: it?.connection.info.era,
        uptimeMillis: it === undefined ? undefined : Math.round(pool.wheel.now() - it.openedAt),
        lastErrors: status.pastErrors(),
        noiseCount: seen?.noiseCount ?? 0,
        noise: seen?.noise ?? []
      }
    })
  }
}
