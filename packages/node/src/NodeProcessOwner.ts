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
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Guard from "./Guard.ts"
import * as Environment from "./internal/environment.ts"
import { stopTree } from "./internal/stopTree.ts"
import * as Survey from "./internal/Survey.ts"
import * as Tree from "./internal/Tree.ts"
import * as ProcessMark from "./ProcessMark.ts"

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
    const marks = ProcessMark.add(process.env[ProcessMark.variable], mark)
    // An impossible command (a NUL byte in an argument) throws; everything else arrives as an event.
    try {
      const child = spawn(command.command, command.args, {
        cwd: command.cwd,
        env: { ...Environment.inherited(command.inheritEnv), ...command.env, [ProcessMark.variable]: marks },
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

/** @since 0.1.0 */
export const make = Effect.gen(function* () {
  const owner = randomUUID()
  let started = 0
  const live = new Set<Tree.Tree>()
  const guard = yield* Guard.make(owner)
  const survey = Survey.make()

  const killAll = () => {
    if (live.size === 0) return
    const seen = survey.now()
    for (const tree of live) tree.signal(seen, "SIGKILL")
  }
  // The last resort for `process.exit` and uncaught errors: synchronous, so that it runs where nothing else does.
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("exit", killAll)),
    // What a scope outside of ours still holds would have nobody to end it after this.
    () =>
      Effect.sync(() => {
        killAll()
        process.off("exit", killAll)
      })
  )

  const own = (mark: string) => (pid: number) => {
    const tree = Tree.make(pid, mark, survey.now)
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
        const { child, tree } = yield* start(command, mark, listener, own(mark))
        const input = writer(child, listener.onDrain)
        const stop = yield* Effect.cached(
          Effect.ensuring(
            stopTree(child, tree, survey, input.end, command.stopTimeout),
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

  return ProcessOwner.ProcessOwner.of({ spawn: spawnOwned, added: Environment.added, killAll })
})

/** @since 0.1.0 */
export const layer: Layer.Layer<ProcessOwner.ProcessOwner> = Layer.effect(ProcessOwner.ProcessOwner, make)
