/**
 * What the system knows of its processes, read from `/proc`: who belongs to whom, and since when. Our own books are
 * never asked; a process is told apart from a later one with the same number by its start time.
 *
 * Linux only. Elsewhere the table is empty, and ownership rests on the process group alone.
 *
 * @since 0.1.0
 */
import { readdirSync, readFileSync } from "node:fs"

/** @since 0.1.0 */
export interface ProcessEntry {
  readonly pid: number
  readonly parent: number
  readonly group: number
  /** Ticks since the system's start; with `pid` it names a process for ever. */
  readonly startTime: string
  /** Ended, but not yet collected by its parent: it holds nothing any more. */
  readonly zombie: boolean
  /** Frozen by SIGSTOP or a debugger: it does nothing, and ends only by SIGKILL. */
  readonly stopped: boolean
  /** The name of the program, shortened by the system to 15 characters. */
  readonly name: string
}

const supported = process.platform === "linux"

// A process may end between the listing and the reading; it then simply is not there any more. When no more files can be
// opened nothing is known of it, and a process that is taken for gone would never be ended.
const readOrNothing = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "EMFILE" || code === "ENFILE") throw error
    return undefined // ended, or not ours to read
  }
}

const parse = (pid: number, stat: string): ProcessEntry => {
  // The name stands in parentheses and may contain any character; the fields after the last one are plain.
  const nameEnd = stat.lastIndexOf(")")
  const fields = stat.slice(nameEnd + 2).split(" ")
  return {
    pid,
    parent: Number(fields[1]),
    group: Number(fields[2]),
    startTime: fields[19] ?? "",
    zombie: fields[0] === "Z" || fields[0] === "X",
    stopped: fields[0] === "T" || fields[0] === "t",
    name: stat.slice(stat.indexOf("(") + 1, nameEnd)
  }
}

/**
 * One process, unless it has ended and been collected.
 *
 * @throws when no more files can be opened; so do the other readers here.
 * @since 0.1.0
 */
export const read = (pid: number): ProcessEntry | undefined => {
  const stat = supported ? readOrNothing(`/proc/${pid}/stat`) : undefined
  return stat === undefined ? undefined : parse(pid, stat)
}

/**
 * All processes that can be seen.
 *
 * @since 0.1.0
 */
export const readAll = (): ReadonlyArray<ProcessEntry> =>
  supported
    ? readdirSync("/proc").flatMap((name) => {
        const entry = /^\d+$/.test(name) ? read(Number(name)) : undefined
        return entry === undefined ? [] : [entry]
      })
    : []

/**
 * The environment a process was started with, as `NAME=value` texts; empty when it cannot be read.
 *
 * @since 0.1.0
 */
export const environment = (pid: number): ReadonlyArray<string> =>
  (supported ? readOrNothing(`/proc/${pid}/environ`) : undefined)?.split("\0") ?? []

/**
 * The process of that number and everything it has started, as far as the parents are still alive.
 *
 * @since 0.1.0
 */
export const descendants = (table: ReadonlyArray<ProcessEntry>, root: number): ReadonlyArray<ProcessEntry> => {
  const children = Map.groupBy(table, (entry) => entry.parent)
  const found: Array<ProcessEntry> = []
  const visit = (entry: ProcessEntry) => {
    found.push(entry)
    for (const child of children.get(entry.pid) ?? []) visit(child)
  }
  for (const entry of table) if (entry.pid === root) visit(entry)
  return found
}
