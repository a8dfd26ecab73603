/**
 * How many calls run, and how many may wait for a place: a counter while there is room, and a queue, first come first
 * served, when there is none.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Overload } from "../Limits.ts"
import { AcquireTimeout, McpError, Overloaded } from "../McpError.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"
import * as Places from "./Places.ts"

export interface Limits {
  readonly scope: "Server" | "Pool" | "Program"
  readonly maxConcurrency: number
  readonly maxWaiting: number
  readonly overload: Overload
  readonly acquireTimeout: Duration.Duration
}

/** What `Effect.uninterruptibleMask` gives. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

interface Waiter extends Places.Waiter {
  readonly fail: (error: McpError) => void
}

export interface Admission {
  readonly running: () => number
  readonly waiting: () => number
  /** Takes a place, if one is free and nobody waits for it. */
  readonly tryTake: () => boolean
  /**
   * Waits for a place, at most so many milliseconds. To be run where nothing interrupts, or a place just taken could be
   * lost; `restore` makes only the wait interruptible. An interrupted or timed-out wait leaves none taken.
   */
  readonly take: (server: string, limit: number, restore: Restore) => Effect.Effect<void, McpError>
  /** Gives a place back, to the first who waits. */
  readonly leave: () => void
  /** Fails all who wait. */
  readonly refuseAll: (error: McpError) => void
}

export const make = (
  limits: Limits,
  wheel: DeadlineWheelService,
  places: Places.Places = Places.make(limits.maxConcurrency)
): Admission => {
  const waiters = places.queue<Waiter>()
  const { leave, tryTake } = places

  const wait = (server: string, limit: number): Effect.Effect<void, McpError> =>
    Effect.callback((resume) => {
      const waiter: Waiter = {
        granted: false,
        resume: () => {
          disarm()
          resume(
            Effect.sync(() => {
              waiter.granted = false
            })
          )
        },
        fail: (error) => {
          disarm()
          resume(error)
        }
      }
      const disarm = wheel.after(limit, {
        expire: () => {
          if (waiters.remove(waiter)) {
            resume(new McpError({ reason: new AcquireTimeout({ server, waited: limits.acquireTimeout }) }))
          }
        }
      })
      waiters.add(waiter)
      return Effect.sync(() => {
        disarm()
        waiters.remove(waiter)
        // Interrupted after the place was handed over and before it was used: it goes to the next.
        if (waiter.granted) leave()
      })
    })

  return {
    running: places.running,
    waiting: waiters.size,
    tryTake,
    leave,
    refuseAll: (error) => {
      for (const waiter of waiters.clear()) waiter.fail(error)
    },
    take: (server, limit, restore) =>
      Effect.suspend(() => {
        if (tryTake()) return Effect.void
        if (limits.overload === "reject" || waiters.size() >= limits.maxWaiting) {
          const { scope } = limits
          return new McpError({
            reason: new Overloaded({ server, scope, running: places.running(), waiting: waiters.size() })
          })
        }
        return restore(wait(server, limit))
      })
  }
}

/**
 * The places of one pool within those of the program, which it shares with others in turns: whoever has one of its own
 * waits for one of the program's.
 */
export const within = (own: Admission, program: Admission, wheel: DeadlineWheelService): Admission => ({
  running: () => own.running() - program.waiting(),
  waiting: () => own.waiting() + program.waiting(),
  tryTake: () => {
    if (!own.tryTake()) return false
    if (program.tryTake()) return true
    own.leave()
    return false
  },
  take: (server, limit, restore) => {
    const until = wheel.now() + limit
    return Effect.andThen(
      own.take(server, limit, restore),
      Effect.onError(
        Effect.suspend(() => program.take(server, Math.max(0, Math.ceil(until - wheel.now())), restore)),
        () => Effect.sync(own.leave)
      )
    )
  },
  leave: () => {
    program.leave()
    own.leave()
  },
  refuseAll: (error) => {
    own.refuseAll(error)
    program.refuseAll(error)
  }
})
