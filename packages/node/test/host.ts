/** Programs that own servers, run and ended as processes of their own. */
import { type ChildProcess, spawn } from "node:child_process"
import { constants } from "node:os"
import * as path from "node:path"
import { Deferred, Effect } from "effect"
import { eventually, fixture, makeTag } from "./system.ts"

/** What `fixtures/host.mjs` is told. */
export interface Program {
  readonly run?: "runMain" | "NodeRuntime"
  readonly servers: ReadonlyArray<ReadonlyArray<string>>
  readonly act?: "wait" | "leave" | "succeed" | "fail" | "exit" | "throw" | "reject" | "stuck" | "heap"
  /** For `leave`: how soon. */
  readonly turns?: number
  readonly closeTimeout?: string
}

/** A server that ignores all it is told, and the helpers it hides behind. */
export const worst = ["ignore-end", "ignore-term", "helper:pipes", "helper:session", "helper:escape"]

/** The argument of `fixtures/host.mjs`. The tag is only in the environment of its servers. */
export const settings = (program: Program, tag: string): string =>
  JSON.stringify({ run: "runMain", act: "wait", ...program, script: fixture("server.mjs"), env: { TAG: tag } })

/** Programs are told of no test runner: what they do without one is the subject. */
const outsideOfTests = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST")))

/** Runs a fixture of ours by its name, or another by its path; what is left of it is killed with the scope. */
export const run = Effect.fnUntraced(function* (name: string, argument: string, execArgv: ReadonlyArray<string> = []) {
  const ended = yield* Deferred.make<number>()
  const output = { stdout: "", stderr: "" }
  const child = yield* Effect.acquireRelease(
    Effect.sync((): ChildProcess => {
      const script = path.isAbsolute(name) ? name : fixture(name)
      const args = ["--conditions=@scoped-mcp/source", ...execArgv, script, argument]
      const child = spawn(process.execPath, args, { env: outsideOfTests() })
      child.stdout.on("data", (chunk) => (output.stdout += String(chunk)))
      child.stderr.on("data", (chunk) => (output.stderr += String(chunk)))
      child.stdin.on("error", () => {}) // it has ended
      child.once("exit", (code, signal) => {
        Deferred.doneUnsafe(ended, Effect.succeed(code ?? 128 + constants.signals[signal!]))
      })
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const said = (text: string, times = 1) =>
    eventually(
      Effect.sync(() => output.stdout + output.stderr),
      (all) => all.split(text).length > times,
      "40 seconds"
    )
  return { child, ended: Deferred.await(ended), output, said }
})

/** Runs `fixtures/host.mjs`, or another program that understands its argument, as a program of its own. */
export const host = Effect.fnUntraced(function* (
  program: Program,
  execArgv?: ReadonlyArray<string>,
  script = "host.mjs"
) {
  const tag = makeTag()
  return { ...(yield* run(script, settings(program, tag), execArgv)), tag }
})
