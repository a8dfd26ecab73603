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
interface Deadline {
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
  let sleeper: Fiber.Fiber<void> | undefined
  let until = Infinity
  let ended = false

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
      // What expired may have emptied this list and begun another of the same length.
      if (list.first === undefined && lists.get(length) === list) lists.delete(length)
    }
  }

  const wake = () => {
    // Nobody else goes to sleep meanwhile: what is set by what expires is seen below.
    until = -Infinity
    try {
      expireDue()
    } finally {
      sleepUntil(earliest())
    }
  }

  const sleepUntil = (at: number) => {
    if (ended) return
    until = at
    if (at === Infinity) return
    const left = at - now()
    // Never over at once, or the fibre would be done before it is known.
    const sleep = left > 0 ? clock.sleep(Duration.millis(Math.max(left, 0.001))) : Effect.yieldNow
    sleeper = runFork(Effect.andThen(sleep, Effect.sync(wake)))
  }

  yield* Effect.addFinalizer(() => {
    ended = true
    until = -Infinity
    return sleeper === undefined ? Effect.void : Fiber.interrupt(sleeper)
  })

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
      if (node.at < until) {
        sleeper?.interruptUnsafe()
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
