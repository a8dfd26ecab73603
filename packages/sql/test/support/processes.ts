/** What Linux says about processes, and waiting for it to say something else. */
import { readdirSync, readFileSync } from "node:fs"
import { Effect, Schedule } from "effect"

/** A process that is not confused with a later one of the same pid. */
export interface ProcessIdentity {
  readonly pid: number
  readonly started: string
}

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** The process, unless it has ended (a zombie has). */
export const identify = (pid: number): ProcessIdentity | undefined => {
  const stat = read(`/proc/${pid}/stat`)
  const [state = "Z", ...fields] = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? []
  return state === "Z" ? undefined : { pid, started: fields[18] ?? "" }
}

export const isAlive = ({ pid, started }: ProcessIdentity): boolean => identify(pid)?.started === started

/** The query processes below a process, itself left out. */
export const queryProcesses = (parent: number): ReadonlyArray<ProcessIdentity> =>
  children(parent).flatMap((pid) => [
    ...(read(`/proc/${pid}/cmdline`)?.includes("sqliteProcess")
      ? [identify(pid)].filter((found) => found !== undefined)
      : []),
    ...queryProcesses(pid)
  ])

export const children = (parent: number): ReadonlyArray<number> => {
  try {
    return readdirSync(`/proc/${parent}/task`).flatMap((task) =>
      (read(`/proc/${parent}/task/${task}/children`) ?? "").split(" ").filter(Boolean).map(Number)
    )
  } catch {
    return []
  }
}

/** Processor time a process has used so far, in clock ticks. */
const cpuTicks = ({ pid }: ProcessIdentity): number => {
  const stat = read(`/proc/${pid}/stat`) ?? ""
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return Number(fields[11]) + Number(fields[12])
}

/** Asks every 20 ms until the answer is yes; dies after 8 seconds. */
export const until = (what: string, condition: () => boolean): Effect.Effect<void> =>
  Effect.sync(condition).pipe(
    Effect.repeat({ until: (yes) => yes, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: "8 seconds",
      orElse: () => Effect.die(new Error(`waited 8 seconds until ${what}`))
    }),
    Effect.asVoid
  )

/** Waits until a query keeps one of the processes below `parent` busy, and tells which. */
export const busyProcess = (parent: number): Effect.Effect<ProcessIdentity> =>
  Effect.gen(function* () {
    const before = new Map<number, number>()
    const busy = () =>
      queryProcesses(parent).find((process) => {
        const first = before.get(process.pid) ?? cpuTicks(process)
        before.set(process.pid, first)
        return cpuTicks(process) - first > 15
      })
    yield* until("a query runs", () => busy() !== undefined)
    return busy() ?? (yield* Effect.die(new Error("the busy process has ended")))
  })
