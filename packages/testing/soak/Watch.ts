/**
 * What the system says of this process and of those it started: read from `/proc` and from Node.js, never from the pool.
 * Without `/proc` (elsewhere than on Linux) there are no processes and no descriptors to be seen.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { ProcessMark, ProcessTable } from "@scoped-mcp/node"
import { Effect, type Scope } from "effect"
import { variable } from "./Fleet.ts"

const mark = `soak-${process.pid}-${Date.now()}`

/** Milliseconds since 1970 on a clock that never goes back. */
export const now = (): number => performance.timeOrigin + performance.now()

/** From now on all that is started carries our mark. */
export const markChildren = Effect.sync(() => {
  process.env[ProcessMark.variable] = ProcessMark.add(process.env[ProcessMark.variable], mark)
})

const key = ({ pid, startTime }: ProcessTable.ProcessEntry) => `${pid}@${startTime}`

const alive = () => ProcessTable.readAll().filter(({ pid, zombie }) => !zombie && pid !== process.pid)

/** Everything alive that we started, near or far, with or without a parent. */
export const leftProcesses = (): ReadonlyArray<string> => {
  const table = ProcessTable.readAll()
  const below = new Set(ProcessTable.descendants(table, process.pid).map(({ pid }) => pid))
  return table.flatMap(({ name, pid, zombie }) => {
    if (zombie || pid === process.pid) return []
    const environment = ProcessTable.environment(pid)
    if (!below.has(pid) && !ProcessMark.read(environment).includes(mark)) return []
    const server = environment.find((line) => line.startsWith(`${variable}=`))?.slice(variable.length + 1)
    return [`${pid} ${name} of ${server ?? "no server"}`]
  })
}

const descriptors = () => (existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0)

/** What keeps the event loop alive, by kind. */
const handles = (): ReadonlyMap<string, number> =>
  new Map([...Map.groupBy(process.getActiveResourcesInfo(), (kind) => kind)].map(([kind, all]) => [kind, all.length]))

export interface Holdings {
  readonly descriptors: number
  readonly handles: ReadonlyMap<string, number>
}

export const holdings = (): Holdings => ({ descriptors: descriptors(), handles: handles() })

let collect: (() => void) | undefined

/** Bytes of the heap that are in use after a full collection. */
export const heap = Effect.gen(function* () {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc")
    collect = runInNewContext("gc") as () => void
  }
  // What finalizers of the first collection let go is found by the second.
  collect()
  yield* Effect.sleep("20 millis")
  collect()
  return process.memoryUsage().heapUsed
})

/** A process of a server, or one that it started, as far as it was seen. */
export interface Seen {
  readonly pid: number
  /** The incarnation that it belongs to. */
  readonly tag: string
  readonly startedAt: number
  lastSeenAt: number
}

export interface Watch {
  readonly seen: () => ReadonlyArray<Seen>
  /** How long the event loop stood still between two times, in all. */
  readonly stalled: (from: number, until: number) => number
}

const ticksPerSecond = 100
const lookEvery = 60
const beatEvery = 20

/** `environ` is that of the parent for a moment, until a forked process has become its own program. */
const settledAfter = 1_000

/** Looks at all processes again and again, and at our own clock, until the scope closes. */
export const make: Effect.Effect<Watch, never, Scope.Scope> = Effect.gen(function* () {
  const seen = new Map<string, Seen>()
  const strangers = new Map<string, number>()
  const stalls: Array<{ readonly at: number; readonly millis: number }> = []

  const startedAt = (entry: ProcessTable.ProcessEntry) => {
    const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0])
    return now() - (uptime - Number(entry.startTime) / ticksPerSecond) * 1_000
  }
  const look = () => {
    const at = now()
    for (const entry of alive()) {
      const name = key(entry)
      const known = seen.get(name)
      if (known !== undefined) {
        known.lastSeenAt = at
        continue
      }
      const strangerSince = strangers.get(name)
      if (strangerSince !== undefined && at - strangerSince > settledAfter) continue
      const line = ProcessTable.environment(entry.pid).find((line) => line.startsWith(`${variable}=`))
      if (line === undefined) {
        if (strangerSince === undefined) strangers.set(name, at)
      } else {
        const tag = line.slice(variable.length + 1)
        seen.set(name, { pid: entry.pid, tag, startedAt: startedAt(entry), lastSeenAt: at })
      }
    }
  }

  let beat = now()
  const listen = () => {
    const at = now()
    const millis = at - beat - beatEvery
    if (millis > beatEvery) stalls.push({ at, millis })
    beat = at
  }

  yield* Effect.acquireRelease(
    Effect.sync(() => [setInterval(look, lookEvery).unref(), setInterval(listen, beatEvery).unref()]),
    (timers) => Effect.sync(() => timers.forEach((timer) => clearInterval(timer)))
  )
  return {
    seen: () => [...seen.values()],
    stalled: (from, until) =>
      stalls.reduce((sum, { at, millis }) => (at > from && at - millis < until ? sum + millis : sum), 0)
  }
})
