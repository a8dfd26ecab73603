import { type ChildProcess, spawn } from "node:child_process"
/**
 * Ends what the host could not end itself: one small process beside the host, told through a pipe of every process group
 * that the host starts. When the pipe ends, however the host ended, it ends those groups and whatever carries the host's
 * mark in its environment. It costs one `sh`, started with the first server.
 *
 * POSIX only; on Windows there is none, and a killed host leaves its servers to the end of their input.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ProcessTable from "./ProcessTable.ts"

// Signals of the terminal and of the host's group are not for the guard: it must outlive them. The servers get one second
// between TERM and KILL. Nothing is looked for, and nothing waits, when nothing is left.
const script = `
trap '' INT TERM HUP
owner=$1
groups=
while read -r verb group; do
  case $verb in
    +) groups="$groups $group" ;;
    -) rest=; for known in $groups; do [ "$known" = "$group" ] || rest="$rest $known"; done; groups=$rest ;;
  esac
done
marked() { grep -ls -- "$owner" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\\n'; }
end() {
  for group in $groups; do kill -s "$1" -- "-$group" 2>/dev/null && left=1; done
  for process in $(marked); do kill -s "$1" "$process" 2>/dev/null && left=1; done
}
left=
end TERM
[ -z "$left" ] && exit 0
sleep 1
end KILL
`

/** @since 0.1.0 */
export interface Guard {
  /** From now on the group is ended with the host. */
  readonly watch: (group: number) => void
  /** The group has ended; its number may soon be somebody else's. With the last group the guard ends, and is waited for. */
  readonly forget: (group: number) => Effect.Effect<void>
  /** Its process, while it runs. */
  readonly pid: () => number | undefined
}

const isStopped = (pid: number | undefined): boolean => {
  try {
    return pid !== undefined && ProcessTable.read(pid)?.stopped === true
  } catch {
    return false // no file can be opened to tell
  }
}

/** Deaths within {@link memory} after which the guard is given up: something kills it, and would kill the next one. */
const maxDeaths = 3

/** A guard that was killed long ago says nothing of the one that is started now. */
const memory = 60_000

/** How long the last look for what is left may take; should it hang, it ends with our own end. */
const sweepTimeout = "2 seconds"

/** For the end of a guard that was killed: a matter of milliseconds, and the close of a server must not wait for more. */
const killTimeout = "250 millis"

/**
 * A guard for the processes that carry `owner` in their mark. It runs while there is a group to watch, and ends with the
 * scope at the latest.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (owner: string): Effect.fn.Return<Guard, never, Scope.Scope> {
  const runFork = Effect.runForkWith(yield* Effect.context())
  const clock = yield* Clock.Clock
  const groups = new Set<number>()
  let current: ChildProcess | undefined
  let deaths: ReadonlyArray<number> = []

  const tell = (line: string) => current?.stdin?.write(`${line}\n`)

  const recentDeaths = () => {
    const now = clock.currentTimeMillisUnsafe()
    deaths = deaths.filter((at) => now - at < memory)
    return deaths.length
  }

  const start = () => {
    const child = spawn("sh", ["-c", script, "scoped-mcp-guard", owner], {
      stdio: ["pipe", "ignore", "ignore"],
      env: { PATH: process.env["PATH"] },
      detached: true
    })
    current = child
    // It must not keep the host alive: the host's end is what it waits for.
    child.unref()
    child.stdin.on("error", () => {}) // it has ended; `exit` says so
    child.once("error", (error) => {
      current = undefined
      runFork(Effect.logWarning("No guard could be started; a killed host would leave its servers", error))
    })
    child.once("exit", () => {
      child.stdin.destroy()
      if (current !== child) return
      current = undefined
      deaths = [...deaths, clock.currentTimeMillisUnsafe()]
      if (recentDeaths() <= maxDeaths) {
        runFork(Effect.logWarning("The guard of the MCP servers has ended; another one is started"))
        start()
      } else {
        runFork(Effect.logWarning("The guard of the MCP servers ends again and again; it is given up"))
      }
    })
    for (const group of groups) tell(`+ ${group}`)
  }

  const end = (how: (child: ChildProcess) => void, limit: Duration.Input) =>
    Effect.suspend(() => {
      const child = current
      if (child === undefined) return Effect.void
      current = undefined
      child.ref()
      return Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        how(child)
      }).pipe(
        Effect.timeoutOption(limit),
        Effect.asVoid,
        Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())
      )
    })
  /** Nothing is left to be watched; killed, it ends at once even if it is frozen. */
  const dismiss = end((child) => child.kill("SIGKILL"), killTimeout)
  // Whoever ends the layer before the servers leaves their end to the guard.
  yield* Effect.addFinalizer(() => end((child) => child.stdin?.end(), sweepTimeout))

  return {
    watch: (group) => {
      if (process.platform === "win32") return
      groups.add(group)
      if (current !== undefined) {
        tell(`+ ${group}`)
        // A frozen one would guard nothing; its end starts another.
        if (isStopped(current.pid)) current.kill("SIGKILL")
      } else if (recentDeaths() <= maxDeaths) start()
    },
    forget: (group) =>
      Effect.suspend(() => {
        if (!groups.delete(group)) return Effect.void
        tell(`- ${group}`)
        return groups.size === 0 ? dismiss : Effect.void
      }),
    pid: () => current?.pid
  }
})
