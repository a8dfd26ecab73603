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
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

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
  /** The group has ended; its number may soon be somebody else's. */
  readonly forget: (group: number) => void
  /** Its process, while it runs. */
  readonly pid: () => number | undefined
}

/** Restarts in a row after which the guard is given up: something kills it, and would kill the next one. */
const maxRestarts = 3

/**
 * A guard for the processes that carry `owner` in the variable `SCOPED_MCP_OWNER`. It ends with the scope.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (owner: string): Effect.fn.Return<Guard, never, Scope.Scope> {
  const runFork = Effect.runForkWith(yield* Effect.context())
  const groups = new Set<number>()
  let process: ChildProcess | undefined
  let restarts = 0
  let ending = false

  const tell = (line: string) => process?.stdin?.write(`${line}\n`)

  const start = () => {
    if (globalThis.process.platform === "win32" || ending) return
    const child = spawn("sh", ["-c", script, "scoped-mcp-guard", owner], {
      stdio: ["pipe", "ignore", "ignore"],
      env: { PATH: globalThis.process.env["PATH"] },
      detached: true
    })
    process = child
    // Neither may keep the host alive: the host's end is what it waits for.
    child.unref()
    child.stdin.on("error", () => {}) // it has ended; `exit` says so
    child.once("error", (error) => {
      process = undefined
      runFork(Effect.logWarning("No guard could be started; a killed host would leave its servers", error))
    })
    child.once("exit", () => {
      if (process === child) process = undefined
      if (ending || groups.size === 0) return
      if (restarts++ < maxRestarts) {
        runFork(Effect.logWarning("The guard of the MCP servers has ended; another one is started"))
        start()
      } else {
        runFork(Effect.logWarning("The guard of the MCP servers ends again and again; it is given up"))
      }
    })
    for (const group of groups) tell(`+ ${group}`)
  }

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      ending = true
      const child = process
      if (child === undefined) return
      const exited = yield* Deferred.make<void>()
      child.once("exit", () => Deferred.doneUnsafe(exited, Effect.void))
      child.stdin?.end()
      // It has nothing left to end; should it hang, it ends itself with our own end.
      yield* Effect.timeoutOption(Deferred.await(exited), "2 seconds")
    }).pipe(Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()))
  )

  return {
    watch: (group) => {
      groups.add(group)
      if (process === undefined) start()
      else tell(`+ ${group}`)
    },
    forget: (group) => {
      if (groups.delete(group)) tell(`- ${group}`)
    },
    pid: () => process?.pid
  }
})
