/**
 * Deadlines of running calls without a fibre or a timer for each. Deadlines of the same length expire in the order they
 * were set, so each length has a list with the earliest in front; one fibre sleeps until the earliest of the fronts.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** One deadline; `expire` is called once, at or after its time, unless it was cancelled. */
export interface Deadline {
  readonly expire: () => void
}

interface Node {
  readonly at: number
  readonly deadline: Deadline
  readonly list: List
  previous: Node | undefined
  next: Node | undefined
  live: boolean
}

interface List {
  readonly length: number
  first: Node | undefined
  last: Node | undefined
}

export interface DeadlineWheelService {
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number
  /** Sets a deadline `millis` from now and returns what cancels it. */
  readonly after: (millis: number, deadline: Deadline) => () => void
}

/** The wheel that a pool shares with its connections; a connection without a pool has its own. */
export class DeadlineWheel extends Context.Service<DeadlineWheel, DeadlineWheelService>()(
  "@scoped-mcp/core/internal/DeadlineWheel"
) {}

const unlink = (node: Node) => {
  node.live = false
  if (node.previous === undefined) node.list.first = node.next
  else node.previous.next = node.next
  if (node.next === undefined) node.list.last = node.previous
  else node.next.previous = node.previous
}

export const make: Effect.Effect<DeadlineWheelService, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const lists = new Map<number, List>()
  let sleeper: { readonly fiber: Fiber.Fiber<void>; readonly until: number } | undefined

  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000n) / 1_000

  const earliest = (): number => {
    let at = Infinity
    for (const list of lists.values()) if (list.first !== undefined && list.first.at < at) at = list.first.at
    return at
  }

  const expireDue = () => {
    const time = now()
    for (const [length, list] of lists) {
      while (list.first !== undefined && list.first.at <= time) {
        const node = list.first
        unlink(node)
        node.deadline.expire()
      }
      if (list.first === undefined) lists.delete(length)
    }
  }

  const sleepUntil = (at: number) => {
    const fiber = runFork(
      Effect.andThen(
        clock.sleep(Duration.millis(Math.max(0, at - now()))),
        Effect.sync(() => {
          sleeper = undefined
          expireDue()
          const next = earliest()
          if (next !== Infinity) sleepUntil(next)
        })
      )
    )
    sleeper = { fiber, until: at }
  }

  yield* Effect.addFinalizer(() => (sleeper === undefined ? Effect.void : Fiber.interrupt(sleeper.fiber)))

  return {
    now,
    after: (millis, deadline) => {
      let list = lists.get(millis)
      if (list === undefined) {
        list = { length: millis, first: undefined, last: undefined }
        lists.set(millis, list)
      }
      const node: Node = { at: now() + millis, deadline, list, previous: list.last, next: undefined, live: true }
      if (list.last === undefined) list.first = node
      else list.last.next = node
      list.last = node
      if (sleeper === undefined) sleepUntil(node.at)
      else if (node.at < sleeper.until) {
        sleeper.fiber.interruptUnsafe()
        sleepUntil(node.at)
      }
      return () => {
        if (!node.live) return
        unlink(node)
        if (list.first === undefined) lists.delete(millis)
      }
    }
  }
})
