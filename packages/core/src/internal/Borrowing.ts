/** Lends the connection of a server: a place in its limit and in the pool's, and the connection, for a call or a lease. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Connection } from "../McpConnection.ts"
import { AcquireTimeout, McpError } from "../McpError.ts"
import type { LeasedConnection } from "../McpPool.ts"
import type * as Admission from "./Admission.ts"
import type { CallTally } from "./CallTally.ts"
import type { Connections } from "./Connections.ts"
import * as Lease from "./Lease.ts"
import type { Live } from "./Live.ts"
import { seconds } from "./poolLogs.ts"
import type { SlotEnv } from "./SlotEnv.ts"

/** What the slot has to do with it. */
export interface Host {
  readonly admission: Admission.Admission
  readonly connections: Connections
  readonly tally: CallTally
  /** Why no calls are taken, if they are not. */
  readonly refusal: () => McpError | undefined
  readonly open: Effect.Effect<Live, McpError>
  /** A request has failed on it, and may be the first to know why. */
  readonly onFailure: (it: Live, error: McpError) => void
  /** A place has become free. */
  readonly onLeft: () => void
}

export interface Borrowing {
  readonly borrow: <A>(f: (it: Live) => Effect.Effect<A, McpError>) => Effect.Effect<A, McpError>
  /** As `borrow`, counted, and once again when it was lost before it was sent. */
  readonly request: <A>(f: (connection: Connection) => Effect.Effect<A, McpError>) => Effect.Effect<A, McpError>
  /** Holds the connection until the scope closes. */
  readonly acquire: Effect.Effect<LeasedConnection, McpError, Scope.Scope>
  /** The same, but nothing where one would have to be opened. */
  readonly acquireIfWarm: Effect.Effect<Option.Option<LeasedConnection>, McpError, Scope.Scope>
  readonly leases: () => number
}

/** Lost before it was sent: the connection went between two moments, and sending it again is safe. */
export const sendAgain = (error: McpError): boolean =>
  error.delivery === "NotSent" && (error.reason._tag === "ConnectionLost" || error.reason._tag === "SessionExpired")

/** The span under which somebody borrows, for people to find the place. */
const spanOf = (fiber: Fiber.Fiber<unknown, unknown>): string => {
  const span = fiber.cache.span
  return span === undefined ? "no span" : span._tag === "Span" ? span.name : span.spanId
}

export const make = ({ limits, log, name, pool }: SlotEnv, host: Host): Borrowing => {
  const { admission, connections, open, refusal, tally } = host
  let leases = 0

  const leavePlace = () => {
    admission.leave()
    host.onLeft()
  }

  const giveBack = (it: Live) => {
    connections.leave(it)
    pool.gate.leave()
    leavePlace()
  }

  /** Only the waits are interruptible, so that no place is lost between them. */
  const take = <E = never>(
    restore: Admission.Restore,
    connection: Effect.Effect<Live, McpError | E> = open
  ): Effect.Effect<Live, McpError | E> => {
    const refused = refusal()
    if (refused !== undefined) return refused
    const current = connections.current()
    if (current !== undefined && admission.tryTake()) {
      if (pool.gate.tryTake()) {
        connections.enter(current)
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
      // Retired by us, or lent to somebody else, on the way from there to here. One that was lost is not waited for twice.
      if ((it.retired || !connections.isFree(it)) && !it.lost) return Effect.flatMap(restore(opened), entered)
      connections.enter(it)
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

  const borrow: Borrowing["borrow"] = (f) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(take(restore), (it) =>
        Effect.onExit(restore(f(it)), (exit) =>
          Effect.sync(() => {
            const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
            if (error !== undefined) host.onFailure(it, error)
            giveBack(it)
          })
        )
      )
    )

  /** A connection that is nobody else's for so long is likely to have been forgotten. */
  const warnOfLeak = (it: Live, borrower: string): (() => void) => {
    if (limits.sharing === "shared") return () => {}
    const after = Duration.toMillis(limits.exclusive.leakWarning)
    const { instanceId } = it.connection.info
    return pool.wheel.after(after, {
      expire: () => pool.run(log("leaseHeld", { instanceId, borrower, limit: seconds(after) }))
    })
  }

  const acquire = <E = never>(connection?: Effect.Effect<Live, McpError | E>) =>
    Effect.withFiber<LeasedConnection, McpError | E, Scope.Scope>((fiber) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.map(
          Effect.tap(
            Effect.map(
              Effect.suspend(() => take(restore, connection)),
              (it) => ({
                it,
                borrower: spanOf(fiber),
                lease: Lease.make(name, it.leased, (error) => host.onFailure(it, error))
              })
            ),
            ({ borrower, it, lease }) => {
              const returned = warnOfLeak(it, borrower)
              leases++
              return Effect.addFinalizer(() =>
                Effect.sync(() => {
                  returned()
                  leases--
                  lease.end()
                  giveBack(it)
                })
              )
            }
          ),
          ({ lease }) => lease.connection
        )
      )
    )

  const warm = Effect.flatMap(connections.warm, (it) =>
    it === undefined ? Effect.fail("Cold" as const) : Effect.succeed(it)
  )

  return {
    borrow,
    request: (f) => {
      const startedAt = pool.wheel.now()
      const once = borrow((it) => f(it.connection))
      return Effect.onExit(
        Effect.catchIf(once, sendAgain, () => once),
        (exit) => Effect.sync(() => tally.count(exit, pool.wheel.now() - startedAt))
      )
    },
    acquire: acquire(),
    acquireIfWarm: Effect.suspend(() =>
      connections.isWarm()
        ? acquire(warm).pipe(
            Effect.asSome,
            Effect.catchIf(
              (error) => error === "Cold",
              () => Effect.succeedNone
            )
          )
        : Effect.succeedNone
    ),
    leases: () => leases
  }
}
