/** The processes this one has started, read from `/proc`; zero where there is none. */
import { readdirSync, readFileSync } from "node:fs"

const fieldsOf = (pid: string | number): ReadonlyArray<string> => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  } catch {
    return [] // ended between the listing and the reading, or no such system
  }
}

/** Children and their children that are alive, zombies not counted. */
export const liveChildren = (): number => {
  if (process.platform !== "linux") return 0
  const parents = new Map<number, number>()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    const [state, parent] = fieldsOf(name)
    if (parent !== undefined && state !== "Z" && state !== "X") parents.set(Number(name), Number(parent))
  }
  const isOurs = (pid: number): boolean => {
    const parent = parents.get(pid)
    return parent !== undefined && (parent === process.pid || isOurs(parent))
  }
  return [...parents.keys()].filter(isOurs).length
}

/** Processor time of a process and of the children it has waited for, in milliseconds; the system counts in hundredths. */
export const spentMillis = (pid: number | "self"): number => {
  const fields = fieldsOf(pid)
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * 10
}
