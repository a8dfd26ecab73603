/** What the system knows of all processes at one moment, read once for everyone who asks at about that moment. */
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as ProcessMark from "../ProcessMark.ts"
import * as ProcessTable from "../ProcessTable.ts"

export interface Sighting extends ProcessTable.ProcessEntry {
  /** Names the process for ever: its number and its start time. */
  readonly key: string
}

export interface Snapshot {
  readonly get: (key: string) => Sighting | undefined
  readonly inGroup: (group: number) => ReadonlyArray<Sighting>
  readonly childrenOf: (pid: number) => ReadonlyArray<Sighting>
  readonly carrying: (mark: string) => ReadonlyArray<Sighting>
}

export interface Survey {
  /** Reads now. Nothing when the system does not tell: on another system than Linux, or when no file can be opened. */
  readonly now: () => Snapshot | undefined
  /** What is read next, for all who wait: closing twenty servers does not cost twenty readings of the same. */
  readonly next: Effect.Effect<Snapshot | undefined>
}

const kernel = 2

/** Nothing: it is in the middle of `exec`, or has ended, and has to be asked again. */
const marksOf = (entry: ProcessTable.ProcessEntry): ReadonlyArray<string> | undefined => {
  if (entry.pid === kernel || entry.parent === kernel) return []
  try {
    const environment = readFileSync(`/proc/${entry.pid}/environ`, "utf8")
    return environment.replaceAll("\0", "") === "" ? undefined : ProcessMark.read(environment.split("\0"))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "ENOENT" || code === "ESRCH") return undefined
    // Another user's: we could not end it either.
    if (code === "EACCES" || code === "EPERM") return []
    throw error
  }
}

export const snapshot = (
  table: ReadonlyArray<ProcessTable.ProcessEntry>,
  marks: (entry: Sighting) => ReadonlyArray<string>
): Snapshot => {
  const all = table.map((entry): Sighting => ({ ...entry, key: `${entry.pid}@${entry.startTime}` }))
  const byKey = new Map(all.map((one) => [one.key, one]))
  const groups = Map.groupBy(all, ({ group }) => group)
  const children = Map.groupBy(all, ({ parent }) => parent)
  const marked = new Map<string, Array<Sighting>>()
  for (const one of all) {
    for (const mark of marks(one)) {
      const known = marked.get(mark)
      if (known === undefined) marked.set(mark, [one])
      else known.push(one)
    }
  }
  return {
    get: (key) => byKey.get(key),
    inGroup: (group) => groups.get(group) ?? [],
    childrenOf: (pid) => children.get(pid) ?? [],
    carrying: (mark) => marked.get(mark) ?? []
  }
}

/**
 * After each reading there is a pause as long as it took, for the processor belongs to the servers that are ending; but on
 * a busy machine a reading takes long for other reasons, and nobody is to wait longer than this for that.
 */
const longestPause = 10

export const make = (): Survey => {
  // A process that carried no mark when it was first seen does not get one later, and one that did may hide it.
  let known = new Map<string, ReadonlyArray<string>>()
  let waiting: Array<(seen: Snapshot | undefined) => void> = []
  let readyAt = 0

  const now = () => {
    if (process.platform !== "linux") return undefined
    const seen = new Map<string, ReadonlyArray<string>>()
    try {
      return snapshot(ProcessTable.readAll(), (one) => {
        const marks = known.get(one.key) ?? marksOf(one)
        if (marks !== undefined) seen.set(one.key, marks)
        return marks ?? []
      })
    } catch {
      return undefined // no file can be opened
    } finally {
      known = seen
    }
  }

  const readNext = () => {
    const startedAt = performance.now()
    const told = waiting
    waiting = []
    const seen = now()
    const endedAt = performance.now()
    readyAt = endedAt + Math.min(endedAt - startedAt, longestPause)
    for (const tell of told) tell(seen)
  }

  return {
    now,
    next: Effect.callback((resume) => {
      if (waiting.push((seen) => resume(Effect.succeed(seen))) > 1) return
      const wait = readyAt - performance.now()
      if (wait > 0) setTimeout(readNext, wait)
      else setImmediate(readNext)
    })
  }
}
