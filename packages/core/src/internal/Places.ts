/**
 * So many places for work, and who waits for one: in one queue first come, first served; between several queues in turns,
 * so that the length of one does not hold up the others.
 */
import * as Context from "effect/Context"

export interface Waiter {
  /** It has a place, whether it knows already or not. */
  granted: boolean
  readonly resume: () => void
}

interface Queue<W extends Waiter = Waiter> {
  readonly size: () => number
  readonly add: (waiter: W) => void
  /** False: it does not wait here any more. */
  readonly remove: (waiter: W) => boolean
  /** Takes all who wait out. */
  readonly clear: () => ReadonlyArray<W>
}

export interface Places {
  readonly running: () => number
  /** Takes a place, if one is free and nobody waits for it. */
  readonly tryTake: () => boolean
  /** Gives a place back, to whose turn it is. */
  readonly leave: () => void
  /** A queue of its own for those who wait; it needs no end. */
  readonly queue: <W extends Waiter>() => Queue<W>
}

/** The places of a program, where its pools share some. */
export class ProgramPlaces extends Context.Service<ProgramPlaces, Places>()(
  "@scoped-mcp/core/internal/Places/ProgramPlaces"
) {}

export const make = (max: number): Places => {
  /** The queues in which somebody waits, the next one first. */
  const turns = new Set<Set<Waiter>>()
  const granted: Array<Waiter> = []
  let running = 0

  return {
    running: () => running,
    tryTake: () => {
      if (running >= max || turns.size > 0) return false
      running++
      return true
    },
    // A place is handed over without becoming free in between, so that nobody can overtake. Those who get one while
    // another is told are told after it: a thousand who fail one after the other would else do so on one stack.
    leave: () => {
      const [queue] = turns
      const [first] = queue ?? []
      if (queue === undefined || first === undefined) {
        running--
        return
      }
      queue.delete(first)
      turns.delete(queue)
      if (queue.size > 0) turns.add(queue)
      first.granted = true
      granted.push(first)
      if (granted.length > 1) return
      for (const waiter of granted) waiter.resume()
      granted.length = 0
    },
    queue: <W extends Waiter>(): Queue<W> => {
      const waiters = new Set<W>()
      return {
        size: () => waiters.size,
        add: (waiter) => {
          waiters.add(waiter)
          turns.add(waiters)
        },
        remove: (waiter) => {
          const waited = waiters.delete(waiter)
          if (waiters.size === 0) turns.delete(waiters)
          return waited
        },
        clear: () => {
          const all = [...waiters]
          waiters.clear()
          turns.delete(waiters)
          return all
        }
      }
    }
  }
}
