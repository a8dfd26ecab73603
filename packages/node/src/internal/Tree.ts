/** The processes of one server: its group, its descendants, and whatever carries its mark in the environment. */
import * as ProcessTable from "../ProcessTable.ts"

/**
 * The variable that marks a server and everything it starts. It is a list, so that a runtime started by a server of
 * another runtime keeps the marks of both.
 */
export const markName = "SCOPED_MCP_OWNER"

export interface Tree {
  /** Everything of the tree that is alive, zombies not counted. Members seen once stay members, wherever they went. */
  readonly alive: () => ReadonlyArray<ProcessTable.ProcessEntry>
  /** Signals the group and each member that has left it; tells how many there were. */
  readonly signal: (signal: NodeJS.Signals) => number
  /** Whether a member has ever been seen outside the group. */
  readonly hasStrays: () => boolean
  /** To be told in the turn in which the leader has been collected: from then on its number may become another's. */
  readonly leaderEnded: () => void
}

const key = (entry: ProcessTable.ProcessEntry) => `${entry.pid}@${entry.startTime}`

// ESRCH and EPERM both mean that there is nothing of ours left under that number.
const kill = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/**
 * `mark` is one entry of the list in {@link markName}. `table` gives the system's processes, read no earlier than the time
 * it is given: an older table does not know what was started since.
 */
export const make = (
  leader: number,
  mark: string,
  table: (since: number) => ReadonlyArray<ProcessTable.ProcessEntry> = ProcessTable.readAll
): Tree => {
  const members = new Set<string>()
  const strangers = new Set<string>()
  const madeAt = performance.now()
  let leading = true
  let strays = false

  const marked = (entry: ProcessTable.ProcessEntry): boolean => {
    const name = key(entry)
    if (strangers.has(name)) return false
    const variables = ProcessTable.environment(entry.pid)
    const carries = variables.some(
      (variable) =>
        variable.startsWith(`${markName}=`) &&
        variable
          .slice(markName.length + 1)
          .split(",")
          .includes(mark)
    )
    // In the middle of `exec` a process has an empty one for a moment, and must be asked again.
    if (!carries && variables.join("") !== "") strangers.add(name)
    return carries
  }

  // A group keeps its number for as long as somebody is in it; after that the number may be anyone's.
  const groupIsOurs = (all: ReadonlyArray<ProcessTable.ProcessEntry>): boolean =>
    leading || all.some((entry) => entry.group === leader && members.has(key(entry)))

  const aliveIn = (all: ReadonlyArray<ProcessTable.ProcessEntry>) => {
    const ours = groupIsOurs(all)
    const found = all.filter((entry) => members.has(key(entry)) || (ours && entry.group === leader) || marked(entry))
    for (const entry of found) for (const kin of ProcessTable.descendants(all, entry.pid)) members.add(key(kin))
    const alive = all.filter((entry) => !entry.zombie && members.has(key(entry)))
    strays ||= alive.some((entry) => entry.group !== leader)
    return alive
  }

  if (process.platform !== "linux") {
    const group = { pid: leader, parent: 0, group: leader, startTime: "", zombie: false, name: "" }
    return {
      alive: () => (kill(-leader, 0) ? [group] : []),
      signal: (signal) => (kill(-leader, signal) ? 1 : 0),
      hasStrays: () => false,
      leaderEnded: () => {}
    }
  }

  return {
    alive: () => aliveIn(table(madeAt)),
    signal: (signal) => {
      const all = table(madeAt)
      const left = aliveIn(all)
      if (groupIsOurs(all)) kill(-leader, signal)
      for (const entry of left) if (entry.group !== leader) kill(entry.pid, signal)
      return left.length
    },
    hasStrays: () => strays,
    leaderEnded: () => {
      aliveIn(ProcessTable.readAll())
      leading = false
    }
  }
}
