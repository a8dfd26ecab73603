/** What is measured, of whom, and what performance.md asks: the one place where its tables stand as data. */

export const stackNames = [
  "raw",
  "sdk-2.4",
  "sdk-1.32",
  "effect-ai",
  "bare",
  "pool",
  "ai-sdk",
  "mcporter",
  "openai-agents",
  "mastra",
  "langchain"
] as const
export type StackName = (typeof stackNames)[number]

/** The stacks whose figures performance.md limits. */
export const ours: ReadonlySet<StackName> = new Set(["bare", "pool"])

/** The module of each stack, and what it is called in tables. */
export const stacks: Readonly<Record<StackName, { readonly module: string; readonly title: string }>> = {
  raw: { module: "raw", title: "raw" },
  "sdk-2.4": { module: "sdk2", title: "SDK 2.4" },
  "sdk-1.32": { module: "sdk1", title: "SDK 1.32" },
  "effect-ai": { module: "effect-ai", title: "effect/ai" },
  bare: { module: "bare", title: "ours, bare" },
  pool: { module: "pool", title: "ours, pool" },
  "ai-sdk": { module: "ai-sdk", title: "@ai-sdk/mcp" },
  mcporter: { module: "mcporter", title: "mcporter" },
  "openai-agents": { module: "openai-agents", title: "@openai/agents" },
  mastra: { module: "mastra", title: "@mastra/mcp" },
  langchain: { module: "langchain", title: "@langchain/mcp" }
}

/**
 * How a figure is judged: `ratio` as a multiple of raw's in the same run, `excess` as what it has over raw's, `absolute`
 * as it stands.
 */
export type Judged = "ratio" | "excess" | "absolute"

export interface Metric {
  readonly name: string
  readonly unit: "µs" | "ms" | "KiB" | "B" | ""
  readonly judged: Judged
  /** The two columns of the table of targets. */
  readonly must?: number | undefined
  readonly aim?: number | undefined
  /**
   * The plain SDK client 2.4 as a multiple of raw, and raw itself: what a run is held against to see whether its floor has
   * been padded. Where this machine's system calls cost more than those of the table of targets, the figures are this
   * machine's (README, "The reference of the floor").
   */
  readonly before?: { readonly sdk: number; readonly raw: number } | undefined
}

export interface Workload {
  readonly title: string
  /** The first one decides whether raw was steady over the rounds. */
  readonly metrics: readonly [Metric, ...ReadonlyArray<Metric>]
  readonly http?: boolean
  /**
   * Client and server each keep to processors of their own. Left to the system they sometimes share one, and taking turns
   * on one processor costs a fraction of waking another: the figure would tell where they ran.
   */
  readonly apart?: boolean
  /** Needs the collector at hand (`--expose-gc`). */
  readonly collects?: boolean
  /** Rounds beyond these tell nothing new; such a workload is long, or counts. */
  readonly maxRounds?: number
  readonly quick?: boolean
}

const ratio = (
  name: string,
  unit: Metric["unit"],
  must?: number,
  aim?: number,
  before?: { readonly sdk: number; readonly raw: number }
): Metric => ({ name, unit, judged: "ratio", must, aim, before })

const absolute = (name: string, unit: Metric["unit"], must?: number, aim?: number): Metric => ({
  name,
  unit,
  judged: "absolute",
  must,
  aim
})

const workloadTable = {
  "stdio-one": {
    title: "stdio, one at a time",
    metrics: [
      ratio("p50", "µs", 1.2, 1.1, { sdk: 1.47, raw: 123 }),
      ratio("cpu", "µs", 1.4, 1.25, { sdk: 2.07, raw: 70 })
    ],
    quick: true,
    apart: true
  },
  "http-one": {
    title: "HTTP, one at a time",
    metrics: [
      ratio("p50", "µs", 1.3, 1.15, { sdk: 2.67, raw: 173 }),
      ratio("cpu", "µs", 1.5, 1.25, { sdk: 4.41, raw: 120 })
    ],
    http: true,
    apart: true
  },
  "stdio-64": {
    title: "stdio, 64 at once",
    metrics: [
      ratio("time", "µs", 1.9, 1.6, { sdk: 3.91, raw: 5.9 }),
      ratio("cpu", "µs", 3, 2.3, { sdk: 7.42, raw: 3.3 })
    ],
    quick: true
  },
  "http-64": {
    title: "HTTP, 64 at once",
    metrics: [
      ratio("time", "µs", 1.6, 1.2, { sdk: 8.85, raw: 52 }),
      ratio("cpu", "µs", 1.7, 1.2, { sdk: 12.2, raw: 45 })
    ],
    http: true,
    quick: true
  },
  "stdio-10x8": {
    title: "10 stdio servers × 8",
    metrics: [
      ratio("time", "µs", 1.8, 1.5, { sdk: 4.03, raw: 8.4 }),
      ratio("cpu", "µs", 2.6, 2, { sdk: 5.72, raw: 6.2 })
    ]
  },
  "stdio-1m": {
    title: "1 MiB result, stdio",
    metrics: [ratio("p50", "ms", 1.25, 1.1, { sdk: 1.54, raw: 2.6 }), ratio("cpu", "ms")],
    apart: true
  },
  "http-1m": {
    title: "1 MiB result, HTTP",
    metrics: [ratio("p50", "ms", 1.2, 1.05, { sdk: 1.57, raw: 4.3 }), ratio("cpu", "ms")],
    http: true,
    apart: true
  },
  "stdio-8m": {
    title: "8 MiB result, stdio",
    metrics: [ratio("p50", "ms", 1.25, 1.1, { sdk: 7.7, raw: 38 }), ratio("cpu", "ms")],
    apart: true
  },
  "open-20": {
    title: "open 20 stdio servers",
    metrics: [
      ratio("wall", "ms", 1.1, 1.05, { sdk: 1.07, raw: 316 }),
      ratio("cpu", "ms", 2.2, 1.8, { sdk: 1.8, raw: 32 })
    ],
    quick: true
  },
  "open-20-slow": {
    title: "open 20 that need 300 ms each",
    metrics: [ratio("wall", "ms", 1.05, 1.02), ratio("cpu", "ms")]
  },
  "close-20": {
    title: "close 20 polite servers",
    metrics: [{ name: "wall", unit: "ms", judged: "excess", must: 20, aim: 10 }, absolute("left", "", 0)]
  },
  processes: {
    title: "processes started per server",
    metrics: [absolute("started", "", 1, 1), absolute("alive", "", 1, 1)],
    maxRounds: 1
  },
  "heap-stdio": {
    title: "heap per idle connection, stdio",
    metrics: [absolute("heap", "KiB", 45, 35)],
    collects: true,
    maxRounds: 3
  },
  "heap-http": {
    title: "heap per idle connection, HTTP",
    metrics: [absolute("heap", "KiB", 85, 70)],
    http: true,
    collects: true,
    maxRounds: 3
  },
  "cycles-stdio": {
    title: "open-call-close cycles, stdio",
    metrics: [absolute("slope", "B", 300), absolute("handles", "", 0, 0), ratio("cycle", "ms")],
    collects: true,
    maxRounds: 2
  },
  "cycles-http": {
    title: "open-call-close cycles, HTTP",
    metrics: [absolute("slope", "B", 300), absolute("handles", "", 0, 0), ratio("cycle", "ms")],
    http: true,
    collects: true,
    maxRounds: 2
  },
  start: {
    title: "start of a process to first answer",
    metrics: [ratio("wall", "ms", 1.45, 1.3, { sdk: 1.73, raw: 148 }), ratio("cpu", "ms")]
  }
} as const satisfies Record<string, Workload>

export type WorkloadName = keyof typeof workloadTable
export const workloadNames = Object.keys(workloadTable) as ReadonlyArray<WorkloadName>
export const workloads: Readonly<Record<WorkloadName, Workload>> = workloadTable

/** What `--quick` measures. */
export const quickStacks: ReadonlyArray<StackName> = ["raw", "sdk-2.4", "bare", "pool"]

/** Rounds a verdict of performance.md rests on. */
export const roundsForVerdict = 5

/** How far the SDK's ratio to the floor may fall below the table before the floor counts as padded. */
export const paddedFloor = 0.15
