/** What keeps this process alive, and who listens to it, counted in the process itself. */
import { EventEmitter, getEventListeners } from "node:events"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Detector, Leak } from "./leak.ts"

const countBy = (names: ReadonlyArray<string>): ReadonlyMap<string, number> =>
  new Map([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]))

const more = (
  kind: Leak["kind"],
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
  begun: number
): ReadonlyArray<Leak> =>
  [...now].flatMap(([name, count]) => {
    const known = before.get(name) ?? 0
    const what = `${name}: ${count} where there were ${known}`
    return count > known ? [{ kind, what, age: Duration.millis(Math.round(performance.now() - begun)) }] : []
  })

/** Timers have a detector of their own; an immediate has no life beyond its turn. */
const apart = new Set(["Timeout", "Immediate"])

const countHandles = () => countBy(process.getActiveResourcesInfo().filter((type) => !apart.has(type)))

export const handles: Detector = Effect.sync(() => {
  // Node makes the handles of its own three streams when they are first asked for, and keeps them.
  void [process.stdin, process.stdout, process.stderr]
  const begun = performance.now()
  const before = countHandles()
  return Effect.sync(() => more("Handle", before, countHandles(), begun))
})

export type Emitter = EventEmitter | EventTarget

const eventsOf = (emitter: Emitter): ReadonlyArray<string | symbol> =>
  // An EventTarget does not tell its events; abort signals, which are what leaks here, have one.
  emitter instanceof EventEmitter ? emitter.eventNames() : ["abort"]

const countListeners = (emitters: Readonly<Record<string, Emitter>>) =>
  new Map(
    Object.entries(emitters).flatMap(([name, emitter]) =>
      eventsOf(emitter).map((event) => {
        const listeners =
          emitter instanceof EventEmitter
            ? emitter.listenerCount(event)
            : getEventListeners(emitter, String(event)).length
        return [`${name} "${String(event)}"`, listeners] as const
      })
    )
  )

export const listeners = (emitters: Readonly<Record<string, Emitter>>): Detector =>
  Effect.sync(() => {
    const begun = performance.now()
    const all = { process, ...emitters }
    const before = countListeners(all)
    return Effect.sync(() => more("Listener", before, countListeners(all), begun))
  })

export const sessions = (counts: Readonly<Record<string, Effect.Effect<number>>>): Detector => {
  const count = Effect.map(Effect.all(counts), (all) => new Map(Object.entries(all)))
  return Effect.map(count, (before) => {
    const begun = performance.now()
    return Effect.map(count, (now) => more("Session", before, now, begun))
  })
}
