/**
 * How many calls run, and how many may wait for a place: a counter while there is room, and a queue, first come first
 * served, when there is none.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Overload } from "../Limits.ts"
import { AcquireTimeout, McpError, Overloaded } from "../McpError.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"

export interface Limits {
  readonly scope: "Server" | "Pool"
  readonly maxConcurrency: number
  readonly maxWaiting: number
  readonly overload: Overload
  readonly acquireTimeout: Duration.Duration
}

/** What `Effect.uninterruptibleMask` gives. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

interface Waiter {
  /** It has a place, whether it knows already or not. */
  granted: boolean
  readonly resume: () => void
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

export const make = (limits: Limits, wheel: DeadlineWheelService): Admission => {
  const waiters = new Set<Waiter>()
  const granted: Array<Waiter> = []
  let running = 0

  const tryTake = () => {
    if (running >= limits.maxConcurrency || waiters.size > 0) return false
    running++
    return true
  }

  // A place is handed over without becoming free in between, so that nobody can overtake. Those who get one while another
  // is told are told after it: a thousand who fail one after the other would else do so on one stack.
  const leave = () => {
    const [first] = waiters
    if (first === undefined) {
      running--
      return
    }
    waiters.delete(first)
    first.granted = true
    granted.push(first)
    if (granted.length > 1) return
    for (const waiter of granted) waiter.resume()
    granted.length = 0
  }

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
          if (waiters.delete(waiter)) {
            resume(new McpError({ reason: new AcquireTimeout({ server, waited: limits.acquireTimeout }) }))
          }
        }
      })
      waiters.add(waiter)
      return Effect.sync(() => {
        disarm()
        waiters.delete(waiter)
        // Interrupted after the place was handed over and before it was used: it goes to the next.
        if (waiter.granted) leave()
      })
    })

  return {
    running: () => running,
    waiting: () => waiters.size,
    tryTake,
    leave,
    refuseAll: (error) => {
      const all = [...waiters]
      waiters.clear()
      for (const waiter of all) waiter.fail(error)
    },
    take: (server, limit, restore) =>
      Effect.suspend(() => {
        if (tryTake()) return Effect.void
        if (limits.overload === "reject" || waiters.size >= limits.maxWaiting) {
          return new McpError({
            reason: new Overloaded({ server, scope: limits.scope, running, waiting: waiters.size })
          })
        }
        return restore(wait(server, limit))
      })
  }
}
