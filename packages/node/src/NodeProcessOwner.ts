/**
 * Owns processes on Node.js: each server is started in a group of its own, and ended with everything it started.
 *
 * Stop order: end of input, TERM, KILL, each to the whole tree, and a wait until nothing of it is alive. That wait, and
 * nothing else in the runtime, reads the live clock even under a test clock: real processes do not know virtual time.
 *
 * @since 0.1.0
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { existsSync } from "node:fs"
import * as ProcessOwner from "@scoped-mcp/core/ProcessOwner"
import type * as ServerConfig from "@scoped-mcp/core/ServerConfig"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Guard from "./Guard.ts"
import * as Tree from "./internal/Tree.ts"
import * as ProcessTable from "./ProcessTable.ts"

/** What programs need to run at all, and nothing that could be a secret. */
const minimalEnv = [
  "HOME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
  // Windows
  "APPDATA",
  "COMSPEC",
  "HOMEDRIVE",
  "HOMEPATH",
  "LOCALAPPDATA",
  "PATHEXT",
  "PROGRAMDATA",
  "PROGRAMFILES",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "USERNAME",
  "USERPROFILE"
]

const inherited = (policy: ServerConfig.InheritEnv): NodeJS.ProcessEnv => {
  if (policy === "all") return process.env
  if (policy === "none") return {}
  const names = policy === "minimal" ? minimalEnv : [...minimalEnv, ...policy]
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
  )
}

const problem = (command: ProcessOwner.ProcessCommand, error: NodeJS.ErrnoException): string => {
  const { cwd } = command
  if (cwd !== undefined && !existsSync(`${cwd}/.`)) {
    return `the folder "${cwd}" ${existsSync(cwd) ? "is not a folder" : "does not exist"}`
  }
  switch (error.code) {
    case "ENOENT":
      return "no such program on the PATH; install it, or give its full path"
    case "EACCES":
      return "the file is not executable"
    case "E2BIG":
      return "its arguments and environment are too long for the system"
    case "EMFILE":
    case "ENFILE":
      return `too many open files (${error.code}); raise the limit, or open fewer servers at once`
    default:
      return error.message
  }
}

const spawnFailed = (command: ProcessOwner.ProcessCommand, error: Error): ProcessOwner.SpawnFailed =>
  new ProcessOwner.SpawnFailed({ command: command.command, detail: problem(command, error) })

/** How long the last output of an ended process may take; a helper that holds the pipe open must not keep us waiting. */
const lastOutput = 200

const listen = (child: ChildProcessWithoutNullStreams, listener: ProcessOwner.ProcessListener): void => {
  let told = false
  child.stdout.on("data", listener.onStdout)
  child.stderr.on("data", listener.onStderr)
  // A write to a process that has ended; its end is reported by `exit`.
  child.stdin.on("error", () => {})
  child.once("exit", (code, signal) => {
    const tell = () => {
      if (told) return
      told = true
      clearTimeout(timer)
      listener.onExit({ code: code ?? undefined, signal: signal ?? undefined })
    }
    const timer = setTimeout(tell, lastOutput)
    child.once("close", tell)
  })
}

/** Joins what is written in one turn of the event loop, so that many small messages cost one system call. */
const writer = ({ stdin }: ChildProcessWithoutNullStreams, onDrain: () => void) => {
  let joined = ""
  let full = false
  const flush = () => {
    if (joined === "") return
    const text = joined
    joined = ""
    // Where the pipe took all at once there is no `drain` to come.
    if (stdin.write(text) && full) {
      full = false
      onDrain()
    }
  }
  stdin.on("drain", () => {
    full = false
    onDrain()
  })
  return {
    write: (text: string): boolean => {
      if (joined === "") process.nextTick(flush)
      joined += text
      full ||= stdin.writableLength + joined.length >= stdin.writableHighWaterMark
      return !full
    },
    /** What was written last, a notice of cancellation perhaps, goes out before the input ends. */
    end: () => {
      flush()
      stdin.end()
    }
  }
}

interface Started {
  readonly child: ChildProcessWithoutNullStreams
  readonly tree: Tree.Tree
}

const start = (
  command: ProcessOwner.ProcessCommand,
  mark: string,
  listener: ProcessOwner.ProcessListener,
  own: (pid: number) => Tree.Tree
): Effect.Effect<Started, ProcessOwner.SpawnFailed> =>
  Effect.callback((resume) => {
    const marks = [process.env[Tree.markName], mark].filter((known) => known !== undefined && known !== "")
    // An impossible command (a NUL byte in an argument) throws; everything else arrives as an event.
    try {
      const child = spawn(command.command, command.args, {
        cwd: command.cwd,
        env: { ...inherited(command.inheritEnv), ...command.env, [Tree.markName]: marks.join(",") },
        stdio: ["pipe", "pipe", "pipe"],
        detached: true,
        windowsHide: true
      })
      child.once("error", (error) => {
        for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy()
        resume(Effect.fail(spawnFailed(command, error)))
      })
      if (child.pid === undefined) return
      // In the same turn, so that an exit of ours between the two finds it.
      const tree = own(child.pid)
      child.once("exit", tree.leaderEnded)
      child.once("spawn", () => resume(Effect.succeed({ child, tree })))
      listen(child, listener)
    } catch (error) {
      resume(Effect.fail(spawnFailed(command, error instanceof Error ? error : new Error(String(error)))))
    }
  })

const poll = Schedule.min([Schedule.exponential("2 millis", 1.5), Schedule.spaced("50 millis")])

/**
 * How long nothing must be found where helpers have left the group: a look at all processes is not of one moment, and one
 * that starts another and ends meanwhile can be missed.
 */
const doubt = 20

/** True as soon as nothing is left, false when something still is after the limit. */
const goneWithin = (tree: Tree.Tree, left: () => number, limit: Duration.Duration): Effect.Effect<boolean> => {
  let emptySince: number | undefined
  const gone = Effect.sync(() => {
    if (left() > 0) {
      emptySince = undefined
      return false
    }
    emptySince ??= performance.now()
    return !tree.hasStrays() || performance.now() - emptySince >= doubt
  })
  return gone.pipe(
    Effect.repeat({ schedule: poll, until: (gone) => gone }),
    Effect.timeoutOrElse({ duration: limit, orElse: () => gone })
  )
}

const stopTree = ({ child, tree }: Started, endInput: () => void, limit: Duration.Duration) =>
  Effect.gen(function* () {
    const exited = yield* Deferred.make<void>()
    if (child.exitCode !== null || child.signalCode !== null) yield* Deferred.succeed(exited, undefined)
    child.once("exit", () => Deferred.doneUnsafe(exited, Effect.void))
    const left = () => tree.alive().length
    // Seen now, a helper stays known when its parent ends and it is handed to process 1.
    if (left() === 0) return "Exited" as const
    const grace = Duration.times(limit, 0.3)
    endInput()
    // The leader's own exit is an event; only its helpers have to be looked for.
    yield* Effect.timeoutOption(Deferred.await(exited), grace)
    if (yield* goneWithin(tree, left, Deferred.isDoneUnsafe(exited) ? Duration.times(limit, 0.05) : Duration.zero)) {
      return "EndOfInput" as const
    }
    tree.signal("SIGTERM")
    if (yield* goneWithin(tree, left, grace)) return "Terminate" as const
    // Again and again, because what is alive may start another before it dies.
    const killed = yield* goneWithin(tree, () => tree.signal("SIGKILL"), Duration.times(limit, 0.35))
    return killed ? ("Kill" as const) : ("Survived" as const)
  }).pipe(Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()))

/** @since 0.1.0 */
export const make = Effect.gen(function* () {
  const owner = randomUUID()
  let started = 0
  const live = new Set<Tree.Tree>()
  const guard = yield* Guard.make(owner)
  let table: { readonly at: number; readonly entries: ReadonlyArray<ProcessTable.ProcessEntry> } | undefined
  // Shared by servers that close together. A table read after a server was started can only show more of it than there is.
  const readTable = (since: number) => {
    const now = performance.now()
    if (table === undefined || table.at < since || now - table.at > 5)
      table = { at: now, entries: ProcessTable.readAll() }
    return table.entries
  }

  // The last resort for `process.exit` and uncaught errors: synchronous, so that it runs where nothing else does.
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const killAll = () => {
        for (const tree of live) tree.signal("SIGKILL")
      }
      process.on("exit", killAll)
      return killAll
    }),
    // What a scope outside of ours still holds would have nobody to end it after this.
    (killAll) =>
      Effect.sync(() => {
        killAll()
        process.off("exit", killAll)
      })
  )

  const own = (mark: string) => (pid: number) => {
    const tree = Tree.make(pid, mark, readTable)
    live.add(tree)
    guard.watch(pid)
    return tree
  }

  const spawnOwned = Effect.fnUntraced(function* (
    command: ProcessOwner.ProcessCommand,
    listener: ProcessOwner.ProcessListener
  ) {
    const mark = `${owner}.${++started}`
    const { child, stop, write } = yield* Effect.acquireRelease(
      Effect.gen(function* () {
        const started = yield* start(command, mark, listener, own(mark))
        const { child, tree } = started
        const input = writer(child, listener.onDrain)
        const stop = yield* Effect.cached(
          Effect.ensuring(
            stopTree(started, input.end, command.stopTimeout),
            Effect.suspend(() => {
              live.delete(tree)
              child.stdin.destroy()
              child.stdout.destroy()
              child.stderr.destroy()
              return guard.forget(child.pid!)
            })
          )
        )
        return { child, write: input.write, stop: Effect.uninterruptible(stop) }
      }),
      ({ stop }) => stop
    )
    return { pid: child.pid!, write, stop }
  })

  return ProcessOwner.ProcessOwner.of({ spawn: spawnOwned })
})

/** @since 0.1.0 */
export const layer: Layer.Layer<ProcessOwner.ProcessOwner> = Layer.effect(ProcessOwner.ProcessOwner, make)
