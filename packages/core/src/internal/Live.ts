/** One connection of a server, who uses it, and how it ends. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Connection } from "../McpConnection.ts"
import type { LeasedConnection } from "../McpPool.ts"
import { seconds } from "./poolLogs.ts"
import { realTime } from "./realTime.ts"
import type { SlotEnv } from "./SlotEnv.ts"

export interface Live {
  readonly connection: Connection
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
  /** Its release, once it has begun: answers whether it ended within its limit. */
  released: Fiber.Fiber<boolean> | undefined
}

/** A connection that has just been opened in the scope. */
export const make = (connection: Connection, scope: Scope.Closeable, openedAt: number): Effect.Effect<Live> =>
  Effect.map(connection.diagnostics, ({ pid }) => {
    const { close: _, ...leased } = connection
    return {
      connection,
      leased,
      scope,
      openedAt,
      pid,
      users: 0,
      retired: false,
      lost: false,
      closing: false,
      released: undefined
    }
  })

/** Ends the connection and releases what it holds. Answers whether that happened within the limit; never fails. */
export const close = ({ limits, log, name, pool }: SlotEnv, { connection, scope }: Live): Effect.Effect<boolean> => {
  const startedAt = realTime.monotonicTimeNanosUnsafe()
  const { instanceId } = connection.info
  return Effect.gen(function* () {
    yield* log("releasing", { instanceId })
    const step = yield* connection.close
    yield* Scope.close(scope, Exit.void)
    const closedIn = Duration.nanos(realTime.monotonicTimeNanosUnsafe() - startedAt)
    pool.emit({ _tag: "ConnectionClosed", server: name, instanceId, step, closedIn })
    if (step === "Survived") {
      yield* log("closeTimedOut", { instanceId, limit: seconds(Duration.toMillis(limits.closeTimeout)) })
      return false
    }
    yield* log("closed", { instanceId, step })
    return true
  }).pipe(
    Effect.catchCause((cause) => Effect.as(log("closeFailed", { instanceId }, cause), false)),
    Effect.provideContext(pool.context)
  )
}
