import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { fileURLToPath } from "node:url"
/** Runs the command line program as a process, the way a user does. */
import { Effect } from "effect"
import { marked } from "./processes.ts"

const root = fileURLToPath(new URL("../../../..", import.meta.url))
export const bin = fileURLToPath(new URL("../../bin/scoped-mcp.js", import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Milliseconds from the signal to the end, where one was sent. */
  readonly endedIn: number | undefined
  /** Marked processes at the moment of the signal, and after the end. */
  readonly before: number
  readonly left: ReadonlyArray<string>
}

export interface Run {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Sends SIGINT when this is done. */
  readonly interruptWhen?: Effect.Effect<unknown>
  /** The Node.js to run it on, and its flags. Default: ours, on the sources. */
  readonly node?: ReadonlyArray<string>
  /** Another copy of the program. */
  readonly bin?: string
}

const environment = (mark: string, env: Run["env"]): NodeJS.ProcessEnv => {
  const { EVERYTHING_PORT: _, FORCE_COLOR: __, TAVILY_API_KEY: ___, ...rest } = process.env
  return { ...rest, SCOPED_MCP_OWNER: mark, ...env }
}

export const scopedMcp = Effect.fnUntraced(function* (args: ReadonlyArray<string>, run: Run = {}) {
  const mark = `${randomUUID()}.0`
  const [node = process.execPath, ...flags] = run.node ?? [process.execPath, "--conditions=@scoped-mcp/source"]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(node, [...flags, run.bin ?? bin, ...args], {
        cwd: run.cwd ?? root,
        env: environment(mark, run.env),
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  let before = 0
  let signalledAt: number | undefined
  if (run.interruptWhen !== undefined) {
    const interrupt = () => {
      before = marked(mark).length
      signalledAt = performance.now()
      child.kill("SIGINT")
    }
    yield* Effect.forkScoped(Effect.andThen(run.interruptWhen, Effect.sync(interrupt)))
  }
  return yield* Effect.callback<Outcome>((resume) => {
    const out = { stdout: "", stderr: "" }
    for (const channel of ["stdout", "stderr"] as const) {
      child[channel].setEncoding("utf8").on("data", (text: string) => {
        out[channel] += text
      })
    }
    let left: ReadonlyArray<string> = []
    let endedIn: number | undefined
    child.on("exit", () => {
      left = marked(mark)
      endedIn = signalledAt === undefined ? undefined : performance.now() - signalledAt
    })
    child.on("close", (code, signal) => resume(Effect.succeed({ code, signal, ...out, endedIn, before, left })))
  })
}, Effect.scoped)
