/** Runs one client process, with the HTTP server it needs, and watches who else used the machine meanwhile. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { spentMillis } from "../client/children.ts"
import { type Outcome, reportFd, type Task } from "../client/task.ts"
import { type StackName, stacks, type WorkloadName, workloads } from "../plan.ts"

export interface Timing {
  readonly warmMillis: number
  readonly measureMillis: number
  readonly cycles: number
}

export interface Settings extends Timing {
  /** A folder for processor profiles of the clients. */
  readonly profile: string | undefined
}

export interface Measured {
  readonly metrics: Readonly<Record<string, number>>
  /** Share of the machine's processors that others took, steal by the host included; unknown without `/proc`. */
  readonly others: number | undefined
}

const program = (path: string) => fileURLToPath(new URL(`../${path}.js`, import.meta.url))

const longest = 180_000

/** Milliseconds that all processors together have worked since the system's start. */
const busyMillis = (): number | undefined => {
  if (process.platform !== "linux") return undefined
  const [user, nice, system, , , irq, softirq, steal] = readFileSync("/proc/stat", "utf8").split(/\s+/).slice(1, 9)
  return [user, nice, system, irq, softirq, steal].reduce((sum, ticks) => sum + Number(ticks), 0) * 10
}

const selfMillis = () => {
  const { system, user } = process.cpuUsage()
  return (user + system) / 1000
}

/** The line that names the error, or else the last words. */
const gist = (stderr: string): string => /^.*Error\b.*$/m.exec(stderr)?.[0] ?? stderr.trim().slice(-300)

const exitOf = async (child: ChildProcess, stderr: () => string): Promise<void> => {
  const timer = setTimeout(() => child.kill("SIGKILL"), longest)
  const [code, signal] = (await once(child, "close")) as [number | null, string | null]
  clearTimeout(timer)
  if (code !== 0) throw new Error(`it ended with ${signal ?? code}: ${gist(stderr())}`)
}

interface Reported {
  readonly text: string
  /** From the spawn to the first byte reported. */
  readonly millis: number
}

type Command = readonly [command: string, ...args: ReadonlyArray<string>]

const last = availableParallelism() - 1

/** Whether client and server can be kept apart: it takes two processors and `taskset`. */
export const canKeepApart: boolean =
  process.platform === "linux" && last > 0 && spawnSync("taskset", ["-p", String(process.pid)]).status === 0

/** Node, on the last processor (`server`), on the others (`client`), or wherever the system puts it. */
const nodeOn = (side: "client" | "server" | undefined): Command => {
  if (side === undefined || !canKeepApart) return [process.execPath]
  return ["taskset", "-c", side === "server" ? String(last) : `0-${last - 1}`, process.execPath]
}

const runClient = async (
  path: string,
  args: ReadonlyArray<string>,
  nodeArgs: ReadonlyArray<string>,
  [command, ...commandArgs]: Command
): Promise<Reported> => {
  const startedAt = performance.now()
  const child = spawn(command, [...commandArgs, ...nodeArgs, program(path), ...args], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "", NODE_ENV: "production" }
  })
  let text = ""
  let stderr = ""
  let millis = NaN
  const report = child.stdio[reportFd] as NodeJS.ReadableStream
  report.on("data", (chunk: Buffer) => {
    if (text === "") millis = performance.now() - startedAt
    text += chunk.toString()
  })
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  await exitOf(child, () => stderr)
  return { text, millis }
}

interface HttpServer {
  readonly url: string
  /** Ends it and answers what it cost the processor, in milliseconds. */
  readonly stop: () => Promise<number>
}

const startHttp = async ([command, ...args]: Command): Promise<HttpServer> => {
  const child = spawn(command, [...args, program("server/http")], { stdio: ["pipe", "pipe", "inherit"] })
  const [port] = (await once(child.stdout, "data")) as [Buffer]
  return {
    url: `http://127.0.0.1:${port.toString().trim()}/mcp`,
    stop: async () => {
      const spent = spentMillis(child.pid!)
      child.kill("SIGKILL")
      await once(child, "exit")
      return spent
    }
  }
}

const nodeArgsOf = (workload: WorkloadName, settings: Settings): ReadonlyArray<string> => [
  ...(workloads[workload].collects === true ? ["--expose-gc"] : []),
  ...(settings.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${settings.profile}`])
]

const start = async (stack: StackName, settings: Settings): Promise<Measured> => {
  const args = [stacks[stack].module, process.execPath, program("server/stdio")]
  const { millis, text } = await runClient("client/start", args, nodeArgsOf("start", settings), nodeOn(undefined))
  // Too short for the system's clock to tell who else worked.
  return { metrics: { wall: millis, cpu: Number(text) }, others: undefined }
}

const othersShare = (before: number | undefined, startedAt: number, spent: number): number | undefined => {
  const after = busyMillis()
  if (before === undefined || after === undefined) return undefined
  return Math.max(0, after - before - spent) / ((performance.now() - startedAt) * availableParallelism())
}

/** Measures one stack on one workload, once. */
export const measureOnce = async (workload: WorkloadName, stack: StackName, settings: Settings): Promise<Measured> => {
  if (workload === "start") return start(stack, settings)
  const folder = mkdtempSync(join(tmpdir(), "scoped-mcp-bench-"))
  const busy = busyMillis()
  const own = selfMillis()
  const startedAt = performance.now()
  const isApart = workloads[workload].apart === true
  const server = nodeOn(isApart ? "server" : undefined)
  const http = workloads[workload].http === true ? await startHttp(server) : undefined
  const countFile = workload === "processes" ? join(folder, "count") : undefined
  const task: Task = {
    workload,
    stack,
    warmMillis: settings.warmMillis,
    measureMillis: settings.measureMillis,
    cycles: settings.cycles,
    stdio: {
      kind: "stdio",
      command: server[0],
      args: [
        ...server.slice(1),
        program("server/stdio"),
        ...(workload === "open-20-slow" ? ["--delay=300"] : []),
        ...(countFile === undefined ? [] : [`--count=${countFile}`])
      ]
    },
    url: http?.url,
    countFile
  }
  let serverSpent = 0
  let reported: Reported
  try {
    reported = await runClient(
      "client/main",
      [JSON.stringify(task)],
      nodeArgsOf(workload, settings),
      nodeOn(isApart ? "client" : undefined)
    )
  } finally {
    serverSpent = (await http?.stop()) ?? 0
    rmSync(folder, { recursive: true })
  }
  const outcome = JSON.parse(reported.text) as Outcome
  const spent = outcome.spentMillis + serverSpent + selfMillis() - own
  return { metrics: outcome.metrics, others: othersShare(busy, startedAt, spent) }
}
