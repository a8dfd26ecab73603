/** Those who wait for something that only the end of a call, an attempt or a release can bring about. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

export interface Waiters {
  readonly waitUntil: (until: () => boolean) => Effect.Effect<void>
  /** Something has ended: lets those go whose wait is over. */
  readonly wake: () => void
  /** Keeps a fibre in the set for as long as it runs. */
  readonly track: <A>(fibers: Set<Fiber.Fiber<A>>, fiber: Fiber.Fiber<A>) => void
}

export const make = (): Waiters => {
  const waiters = new Set<{ readonly until: () => boolean; readonly resume: () => void }>()

  const wake = () => {
    for (const waiter of waiters) {
      if (!waiter.until()) continue
      waiters.delete(waiter)
      waiter.resume()
    }
  }

  return {
    wake,
    waitUntil: (until) =>
      Effect.callback((resume) => {
        if (until()) return resume(Effect.void)
        const waiter = { until, resume: () => resume(Effect.void) }
        waiters.add(waiter)
        return Effect.sync(() => waiters.delete(waiter))
      }),
    track: (fibers, fiber) => {
      fibers.add(fiber)
      fiber.addObserver(() => {
        fibers.delete(fiber)
        wake()
      })
    }
  }
}
