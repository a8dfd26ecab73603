/**
 * Looks at the system for processes of ours: those that descend from us, those that did when we looked before and have
 * been handed to another parent since, and those that carry the mark our servers were started with.
 */
import { ProcessMark, ProcessTable } from "@scoped-mcp/node"

const key = (entry: ProcessTable.ProcessEntry) => `${entry.pid}@${entry.startTime}`

/** Runtimes that started us have put their own marks before ours. */
const marksOf = (pid: number): ReadonlyArray<string> => ProcessMark.read(ProcessTable.environment(pid))

/** A mark is the runtime's, a dot, and a number for the server. */
const ownerOf = (mark: string): string => mark.split(".")[0] ?? mark

export interface ProcessWatch {
  /** Remembers who descends from us now. */
  readonly look: () => void
  /** How many different processes have been seen so far. */
  readonly seen: () => number
  /** Those that are alive and ours, except ourselves and what was there before. */
  readonly left: () => ReadonlyArray<ProcessTable.ProcessEntry>
}

/** What is there now counts as not ours. */
export const make = (): ProcessWatch => {
  const before = new Set(ProcessTable.readAll().map(key))
  const inherited = new Set(marksOf(process.pid).map(ownerOf))
  const known = new Set<string>()
  const owners = new Set<string>()

  const left = () => {
    const table = ProcessTable.readAll()
    const descend = new Set(ProcessTable.descendants(table, process.pid).map(key))
    return table.filter((entry) => {
      if (entry.zombie || entry.pid === process.pid || before.has(key(entry))) return false
      if (descend.has(key(entry)) || known.has(key(entry))) return true
      return marksOf(entry.pid).some((mark) => owners.has(ownerOf(mark)))
    })
  }

  return {
    look: () => {
      for (const entry of left()) {
        known.add(key(entry))
        for (const mark of marksOf(entry.pid)) {
          if (!inherited.has(ownerOf(mark))) owners.add(ownerOf(mark))
        }
      }
    },
    seen: () => known.size,
    left
  }
}
