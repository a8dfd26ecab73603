/** Timers that are running, by Node's own report of each; where they were set is remembered as a stack. */
import { createHook } from "node:async_hooks"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Detector, Leak } from "./leak.ts"
import * as Site from "./leakSite.ts"

interface Running {
  readonly timer: { readonly hasRef: () => boolean | null }
  readonly isRepeating: boolean
  readonly site: Site.Site
  readonly since: number
}

const running = new Map<number, Running>()

const isTimer = (resource: object): resource is Running["timer"] => "hasRef" in resource

const hook = createHook({
  init: (id, type, _trigger, resource) => {
    if (type !== "Timeout" || !isTimer(resource)) return
    const isRepeating = typeof Reflect.get(resource, "_repeat") === "number"
    running.set(id, { timer: resource, isRepeating, site: Site.capture(), since: performance.now() })
  },
  destroy: (id) => {
    running.delete(id)
  },
  trackPromises: false
})

/** From now on timers are known. */
export const prepare = (): void => {
  hook.enable()
}

// The runner sets timers for its own limits and reports.
const isRunners = ([first = ""]: ReadonlyArray<string>) => /node_modules\/@?vitest\//.test(first)

/** One that does not keep the process alive ends by itself, unless it repeats. */
const isHeld = ({ isRepeating, timer }: Running) => timer.hasRef() === true || isRepeating

export const timers: Detector = Effect.sync(() => {
  prepare()
  const before = new Set(running.keys())
  return Effect.sync(() => {
    const now = performance.now()
    return [...running].flatMap(([id, entry]): ReadonlyArray<Leak> => {
      if (before.has(id) || !isHeld(entry)) return []
      const calls = Site.calls(entry.site)
      if (isRunners(calls)) return []
      const what = `${entry.isRepeating ? "setInterval" : "setTimeout"} ${Site.ownCall(calls) ?? calls[0] ?? "inside Node"}`
      return [{ kind: "Timer", what, age: Duration.millis(Math.round(now - entry.since)) }]
    })
  })
})
