/** How long a server that has failed is left alone: a count of failures in a time, and then a pause that grows. */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { ResolvedRestart } from "../Limits.ts"

/** A failure: of an attempt to open a connection that took so long, or of a connection after so long; milliseconds. */
export type Failure = { readonly attempted: number } | { readonly lasted: number }

interface Verdict {
  /** Milliseconds until the next attempt that nobody asks for. */
  readonly pause: number
  /** Whether there is no other attempt until then. */
  readonly open: boolean
}

export interface RestartPolicy {
  readonly failed: (failure: Failure) => Verdict
  /** Forgets all failures. */
  readonly reset: () => void
}

/** The jitter only shortens, so that the ceiling is one, and pauses at the ceiling differ, too. */
const pauses = ({ backoff, maxBackoff }: ResolvedRestart) =>
  Schedule.min([Schedule.exponential(backoff), Schedule.spaced(maxBackoff)]).pipe(
    Schedule.modifyDelay(({ duration }) =>
      Effect.map(Random.next, (chance) => Duration.times(duration, 1 - chance / 5))
    )
  )

/** Chance and time are those of the context. */
export const make = (limits: ResolvedRestart, now: () => number, context: Context.Context<never>): RestartPolicy => {
  const run = Effect.runSyncWith(context)
  const period = Duration.toMillis(limits.period)
  let step = run(Schedule.toStep(pauses(limits)))
  let failures: ReadonlyArray<number> = []
  let attempted = 0
  let open = false

  const reset = () => {
    step = run(Schedule.toStep(pauses(limits)))
    failures = []
    open = false
  }

  const nextPause = (at: number) => {
    const [, pause] = run(Effect.orDie(step(at, undefined)))
    return Duration.toMillis(pause)
  }

  return {
    reset,
    failed: (failure) => {
      const wasOpen = "lasted" in failure
      if (wasOpen && failure.lasted >= Duration.toMillis(limits.resetAfter)) reset()
      // A server that hangs in every handshake would else never fail often enough in the period.
      if (!wasOpen) attempted += failure.attempted
      const at = now() - attempted
      failures = [...failures, at].slice(-limits.intensity)
      const oldest = failures[0] ?? at
      const full = failures.length === limits.intensity && at - oldest < period
      open ||= full
      // The first loss of a connection may be no fault of the server's at all.
      if (!open && wasOpen && failures.length === 1) return { pause: 0, open }
      const pause = nextPause(at)
      // Whole milliseconds: a clock that counts in them meets no other moment exactly.
      return { pause: Math.ceil(open && full ? Math.max(pause, oldest + period - at) : pause), open }
    }
  }
}
