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
  /** Signals the group and each member that has left it. */
  readonly signal: (signal: NodeJS.Signals) => void
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

/** `mark` is one entry of the list in {@link markName}; `table` reads the system's processes. */
export const make = (
  leader: number,
  mark: string,
  table: () => ReadonlyArray<ProcessTable.ProcessEntry> = ProcessTable.readAll
): Tree => {
  const members = new Set<string>()
  const strangers = new Set<string>()

  const marked = (entry: ProcessTable.ProcessEntry): boolean => {
    const name = key(entry)
    if (strangers.has(name)) return false
    const carries = ProcessTable.environment(entry.pid).some(
      (variable) =>
        variable.startsWith(`${markName}=`) &&
        variable
          .slice(markName.length + 1)
          .split(",")
          .includes(mark)
    )
    if (!carries) strangers.add(name)
    return carries
  }

  const alive = () => {
    if (process.platform !== "linux") {
      const group = { pid: leader, parent: 0, group: leader, startTime: "", zombie: false, name: "" }
      return kill(-leader, 0) ? [group] : []
    }
    const all = table()
    const kin = new Set(ProcessTable.descendants(all, leader).map(key))
    return all.filter((entry) => {
      if (entry.zombie) return false
      const name = key(entry)
      const member = members.has(name) || entry.group === leader || kin.has(name) || marked(entry)
      if (member) members.add(name)
      return member
    })
  }

  return {
    alive,
    signal: (signal) => {
      const left = alive()
      kill(-leader, signal)
      for (const entry of left) if (entry.group !== leader) kill(entry.pid, signal)
    }
  }
}
