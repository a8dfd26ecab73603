/**
 * Opens a server again that has failed, by itself where somebody needs it, and keeps calls away from it while its circuit
 * is open.
 */
import * as Duration from "effect/Duration"
import { CircuitOpen, McpError } from "../McpError.ts"
import * as RestartPolicy from "./RestartPolicy.ts"
import type { SlotEnv } from "./SlotEnv.ts"
import type { SlotStatus } from "./SlotStatus.ts"

export interface Supervision {
  /** Its connection has been lost, or an attempt has failed. */
  readonly onFailure: (error: McpError, failure: RestartPolicy.Failure) => void
  /** An attempt begins. */
  readonly onStart: () => void
  /** Somebody needs it: for an idle time from now on it is opened again by itself. */
  readonly want: () => void
  /** Whether or not somebody calls it. */
  readonly keepAlive: () => void
  /** Why there is no attempt now, if the circuit is open. */
  readonly refusal: () => McpError | undefined
  /** Milliseconds until the circuit lets one attempt through. */
  readonly retryAfter: () => number | undefined
  /** Nothing stands in the way any more of what was held back. */
  readonly resume: () => void
  /** There are no further attempts. */
  readonly end: () => void
  readonly restart: () => void
}

export const make = ({ limits, name, pool }: SlotEnv, status: SlotStatus, reopen: () => void): Supervision => {
  const { now } = pool.wheel
  const policy = RestartPolicy.make(limits.restart, now, pool.context)
  let keepAlive = limits.keepAlive
  let wantedUntil = -Infinity
  let disarm = () => {}
  let last: McpError | undefined
  /** When the next attempt may be, while the circuit is open. */
  let retryAt: number | undefined

  // What lacks credentials needs a human, and may ask one at every attempt.
  const isWanted = () => (keepAlive || now() < wantedUntil) && last?.reason._tag !== "AuthRequired"

  const onDue = () => {
    retryAt = undefined
    if (status.refusal() === undefined && isWanted()) return reopen()
    if (status.get() === "CircuitOpen") status.move("Recovering")
  }

  const end = () => {
    disarm()
    retryAt = undefined
  }

  const retryAfter = () => (retryAt === undefined ? undefined : Math.max(0, retryAt - now()))

  const want = () => {
    wantedUntil = now() + Duration.toMillis(limits.idleTimeToLive)
  }

  return {
    onFailure: (error, failure) => {
      last = error
      status.failed(error)
      const { open, pause } = policy.failed(failure)
      if (open) {
        retryAt = now() + pause
        status.move("CircuitOpen", error)
      }
      disarm()
      if (pause === 0) onDue()
      else disarm = pool.wheel.after(pause, { expire: onDue })
    },
    onStart: end,
    want,
    keepAlive: () => {
      keepAlive = true
    },
    refusal: () => {
      const left = retryAfter()
      if (left === undefined || last === undefined) return undefined
      want()
      const about = { server: name, retryAfter: Duration.millis(Math.ceil(left)), lastFailure: last.message }
      return new McpError({ reason: new CircuitOpen(about) })
    },
    retryAfter,
    resume: () => {
      if (status.get() === "Recovering" && isWanted()) reopen()
    },
    end,
    restart: policy.reset
  }
}
