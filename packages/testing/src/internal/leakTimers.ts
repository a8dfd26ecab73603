/** Timers that are running, by Node's own report of each; where they were set is remembered as a stack. */
import { createHook } from "node:async_hooks"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Detector, Leak } from "./leak.ts"

interface Running {
  readonly timer: { readonly hasRef: () => boolean | null }
  readonly isRepeating: boolean
  readonly site: { readonly stack?: string }
  readonly since: number
}

const running = new Map<number, Running>()

const isTimer = (resource: object): resource is Running["timer"] => "hasRef" in resource

const hook = createHook({
  init: (id, type, _trigger, resource) => {
    if (type !== "Timeout" || !isTimer(resource)) return
    const site: { readonly stack?: string } = {}
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 24
    // The text is made when it is read, which for nearly every timer is never.
    Error.captureStackTrace(site)
    Error.stackTraceLimit = limit
    const isRepeating = typeof Reflect.get(resource, "_repeat") === "number"
    running.set(id, { timer: resource, isRepeating, site, since: performance.now() })
  },
  destroy: (id) => {
    running.delete(id)
  },
  trackPromises: false
})

/** From now on timers are known. They cost a stack of 24 frames each. */
export const prepare = (): void => {
  hook.enable()
}

const frames = (site: Running["site"]): ReadonlyArray<string> =>
  (site.stack ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("at ") && !line.includes("node:") && !line.includes("leakTimers"))

// The runner sets timers for its own limits and reports.
const isRunners = ([first = ""]: ReadonlyArray<string>) => /node_modules\/@?vitest\//.test(first)

/** The nearest line that is not a library's, or else the nearest at all. */
const place = (lines: ReadonlyArray<string>): string =>
  lines.find((line) => !line.includes("node_modules")) ?? lines[0] ?? "from inside Node"

/** One that does not keep the process alive ends by itself, unless it repeats. */
const isHeld = ({ isRepeating, timer }: Running) => timer.hasRef() === true || isRepeating

export const timers: Detector = Effect.sync(() => {
  prepare()
  const before = new Set(running.keys())
  return Effect.sync(() => {
    const now = performance.now()
    return [...running].flatMap(([id, entry]): ReadonlyArray<Leak> => {
      if (before.has(id) || !isHeld(entry)) return []
      const lines = frames(entry.site)
      if (isRunners(lines)) return []
      const what = `${entry.isRepeating ? "setInterval" : "setTimeout"} ${place(lines)}`
      return [{ kind: "Timer", what, age: Duration.millis(Math.round(now - entry.since)) }]
    })
  })
})
