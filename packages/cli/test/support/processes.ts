/** Looks at the system, by itself and not with the code under test, for processes that carry a mark. */
import { readdirSync, readFileSync } from "node:fs"

const readOrNothing = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return "" // it has ended
  }
}

const isZombie = (stat: string): boolean => /^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2))

/** Every server inherits the mark from the command line program, whoever its parent is by now. */
export const marked = (mark: string): ReadonlyArray<string> =>
  readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return []
    if (!readOrNothing(`/proc/${pid}/environ`).includes(mark)) return []
    const stat = readOrNothing(`/proc/${pid}/stat`)
    return stat === "" || isZombie(stat)
      ? []
      : [`${pid} ${readOrNothing(`/proc/${pid}/cmdline`).replaceAll("\0", " ")}`]
  })
