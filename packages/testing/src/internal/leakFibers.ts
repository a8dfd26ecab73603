/**
 * Fibres that are alive. Effect 4.1 has no supervisor, and its runtime metrics are told of a start and an end without
 * saying whose. But every fibre asks its scheduler before each step whether it should yield, and hands itself over: the
 * first step after each wake-up makes it known, and an observer forgets it when it ends.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { MixedScheduler } from "effect/Scheduler"
import type { Detector, Leak } from "./leak.ts"
import * as Site from "./leakSite.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

interface Living {
  readonly fiber: AnyFiber
  readonly since: number
  readonly site: Site.Site
}

const alive = new Map<number, Living>()

let watching = false

/** From now on every fibre under Effect's own scheduler is known, whoever runs it. */
export const prepare = (): void => {
  if (watching) return
  watching = true
  const shouldYield = Reflect.get(MixedScheduler.prototype, "shouldYield")
  MixedScheduler.prototype.shouldYield = function (fiber) {
    if (fiber.currentOpCount <= 1 && !alive.has(fiber.id)) {
      alive.set(fiber.id, { fiber, since: performance.now(), site: Site.capture() })
      fiber.addObserver(() => alive.delete(fiber.id))
    }
    return shouldYield.call(this, fiber)
  }
}

/** Its span or traced function, and who started it, unless the scheduler did that later. */
const nameOf = ({ fiber, site }: Living): string => {
  const { span, stackFrame } = fiber.cache
  const name = span?._tag === "Span" ? span.name : stackFrame?.name
  const call = Site.ownCall(Site.calls(site))
  return [`#${fiber.id}`, ...(name === undefined ? [] : [`in ${name}`]), ...(call === undefined ? [] : [call])].join(
    " "
  )
}

export const fibers: Detector = Effect.sync(() => {
  prepare()
  // Fibres are numbered in the order they are made, so those of before need not have been seen.
  const mark = Effect.runSync(Effect.fiberId)
  return Effect.map(Effect.fiberId, (asker) => {
    const now = performance.now()
    return [...alive.values()]
      .filter(({ fiber }) => fiber.id > mark && fiber.id !== asker && fiber.pollUnsafe() === undefined)
      .map((living): Leak => ({
        kind: "Fiber",
        what: nameOf(living),
        age: Duration.millis(Math.round(now - living.since))
      }))
  })
})
