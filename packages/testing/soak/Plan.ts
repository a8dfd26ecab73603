/**
 * What a generation of the soak consists of: its servers with their faults, and everything that is done to the pool and
 * when. It is drawn from Effect's seeded `Random` before anything runs, so that a seed repeats the same plan however the
 * run turns out.
 */
import { Fault, type ScriptedServer } from "@scoped-mcp/testing"
import { Effect, Random } from "effect"

interface Named {
  readonly name: string
  readonly eras: ReadonlyArray<ScriptedServer.Era>
}

export type ServerPlan =
  | (Named & { readonly transport: "stdio"; readonly faults: ReadonlyArray<Fault.Process>; readonly shell: boolean })
  | (Named & {
      readonly transport: "http"
      readonly faults: ReadonlyArray<Fault.Http>
      readonly answers: "json" | "sse" | "auto"
    })
  | (Named & { readonly transport: "memory"; readonly faults: ReadonlyArray<Fault.Wire> })

/** A call of a tool; `interruptAfter` is when its caller goes away. */
export interface CallPlan {
  readonly id: string
  readonly millis: number
  readonly steps: number
  readonly interruptAfter: number | undefined
}

/** `pause` is how long a server stays suspended, removed or stopped, or a lease is held after its calls. */
export type Act =
  | { readonly _tag: "Call"; readonly call: CallPlan }
  | { readonly _tag: "FailingCall" | "UnknownTool"; readonly id: string }
  | {
      readonly _tag: "Lease"
      readonly how: "use" | "get" | "getIfWarm"
      readonly calls: ReadonlyArray<CallPlan>
      readonly pause: number
    }
  | { readonly _tag: "Suspend" | "Drain" | "Remove" | "Stop"; readonly pause: number }
  | {
      readonly _tag: "Warmup" | "Evict" | "Reconnect" | "Replace" | "CatalogOf" | "Catalog" | "Stats" | "UnknownServer"
    }

export interface Step {
  /** Milliseconds after the start of the generation. */
  readonly at: number
  readonly server: string
  readonly act: Act
}

/** How a generation's pool ends: when all is done, in the midst of the calls, or after its callers were interrupted. */
type Ending = "Quiet" | "Abrupt" | "Interrupted"

export interface Generation {
  readonly number: number
  readonly length: number
  readonly ending: Ending
  readonly servers: ReadonlyArray<ServerPlan>
  readonly steps: ReadonlyArray<Step>
}

/** The largest message that the servers' limits let through, and an answer that is larger. */
export const maxMessageBytes = 64 * 1024
const huge = 3 * maxMessageBytes

const sound: ReadonlyArray<never> = []

/** In every pool, because a server that is slow to end shows whether the next one waits for it. */
const deaf = [Fault.ignoreEndOfInput]

const wire: ReadonlyArray<ReadonlyArray<Fault.Wire>> = [
  [Fault.crash(6)],
  [Fault.crash(12)],
  [Fault.first(Fault.crash("Handshake"), 2)],
  [Fault.flapping({ calls: 3, down: "400 millis" })],
  [Fault.flapping({ after: "1200 millis" })],
  [Fault.slowStart("700 millis")],
  [Fault.first(Fault.noHandshake, 1)],
  [Fault.slowAnswers("300 millis")],
  [Fault.slowAnswers("1500 millis"), Fault.changingTools(2)],
  [Fault.lateAnswers("800 millis")],
  [Fault.first(Fault.noAnswers(), 2)],
  [Fault.duplicateAnswers, Fault.unknownIds],
  [Fault.changingTools(3)],
  [Fault.repeatedCursor],
  [Fault.errorAnswers("tools/call")],
  [Fault.wrongShape("tools/call", { content: 5 })]
]

const bytes: ReadonlyArray<ReadonlyArray<Fault.Bytes>> = [
  [Fault.hugeAnswers(huge)],
  [Fault.first(Fault.endlessAnswers, 2)],
  [Fault.halfAnswers],
  [Fault.splitFrames(7)]
]

const processes: ReadonlyArray<ReadonlyArray<Fault.Process>> = [
  ...wire,
  ...bytes,
  [Fault.ignoreEndOfInput, Fault.crash(20)],
  [Fault.ignoreEndOfInput, Fault.ignoreTerm],
  [Fault.stdoutNoise("ready", "{ not json"), Fault.stderrFlood(20_000)],
  [Fault.helpers("plain")],
  [Fault.helpers("shell"), Fault.crash(10)],
  [Fault.helpers("launcher")],
  [Fault.helpers("session"), Fault.flapping({ calls: 4 })],
  [Fault.helpers("pipes"), Fault.ignoreEndOfInput],
  [Fault.first(Fault.frozen(6), 2)],
  [Fault.first(Fault.stopReading(7), 2)],
  [Fault.crash(8, { signal: "SIGKILL" })]
]

const requests: ReadonlyArray<ReadonlyArray<Fault.Http>> = [
  ...wire,
  ...bytes,
  [Fault.expiringSessions(3)],
  [Fault.expiringSessions(1), Fault.slowAnswers("100 millis")],
  [Fault.refuse(503, { method: "tools/call", retryAfter: "1 second", times: 5 })],
  [Fault.refuse(503, { retryAfter: "1 second", times: 2 })],
  [Fault.refuse(500, { method: "tools/call", times: 4 })],
  [Fault.refuse(401)],
  [Fault.cutStreams],
  [Fault.resetStreams],
  [Fault.endlessStreams()]
]

const between = (min: number, max: number) => Random.nextIntBetween(min, max)

/** The client speaks the older one, also with servers that know both. */
const eras = [["2025"], ["2025", "2026"]] as const
const answers = ["json", "sse", "auto"] as const

/** Some of each transport; the first of each has nothing wrong with it. */
const drawServers = Effect.gen(function* () {
  const forStdio = yield* Random.shuffle(processes)
  const forHttp = yield* Random.shuffle(requests)
  const forMemory = yield* Random.shuffle(wire)
  const servers: Array<ServerPlan> = []
  for (const [index, faults] of [sound, deaf, ...forStdio.slice(0, 3)].entries()) {
    const shell = (yield* Random.next) < 0.2
    servers.push({ transport: "stdio", name: `stdio-${index}`, eras: ["2025", "2026"], faults, shell })
  }
  for (const [index, faults] of [sound, ...forHttp.slice(0, 3)].entries()) {
    const shape = { eras: yield* Random.choice(eras), answers: yield* Random.choice(answers) }
    servers.push({ transport: "http", name: `http-${index}`, faults, ...shape })
  }
  for (const [index, faults] of [sound, ...forMemory.slice(0, 2)].entries()) {
    const name = `memory-${index}`
    servers.push({ transport: "memory", name, eras: yield* Random.choice(eras), faults })
  }
  return servers
})

const kinds = [
  ["Call", 190],
  ["LongCall", 16],
  ["InterruptedCall", 24],
  ["FailingCall", 8],
  ["UnknownTool", 1],
  ["UnknownServer", 0.5],
  ["Lease", 7],
  ["Warmup", 2],
  ["Evict", 5],
  ["Reconnect", 4],
  ["Suspend", 2],
  ["Drain", 1],
  ["Replace", 1.5],
  ["Remove", 1],
  ["Stop", 0.3],
  ["CatalogOf", 3],
  ["Catalog", 0.5],
  ["Stats", 1]
] as const

type Kind = (typeof kinds)[number][0]

const total = kinds.reduce((sum, [, weight]) => sum + weight, 0)

const drawKind = Effect.map(Random.next, (chance): Kind => {
  let left = chance * total
  return kinds.find(([, weight]) => (left -= weight) < 0)?.[0] ?? "Call"
})

const drawCall = Effect.fnUntraced(function* (kind: "Call" | "LongCall" | "InterruptedCall", id: string) {
  const isShort = kind === "Call" || (kind === "InterruptedCall" && (yield* Random.next) < 0.5)
  const millis = isShort ? yield* between(0, 60) : yield* between(500, 1_800)
  const steps = isShort ? 1 : Math.ceil(millis / 200)
  const interruptAfter = kind === "InterruptedCall" ? yield* between(0, isShort ? 40 : 900) : undefined
  return { id, millis, steps, interruptAfter }
})

const drawAct = Effect.fnUntraced(function* (kind: Kind, nextId: () => string): Effect.fn.Return<Act> {
  switch (kind) {
    case "Call":
    case "LongCall":
    case "InterruptedCall":
      return { _tag: "Call", call: yield* drawCall(kind, nextId()) }
    case "FailingCall":
    case "UnknownTool":
      return { _tag: kind, id: nextId() }
    case "Lease": {
      const how = yield* Random.choice(["use", "get", "getIfWarm"] as const)
      const calls: Array<CallPlan> = []
      const count = yield* between(1, 3)
      while (calls.length < count) calls.push(yield* drawCall("Call", nextId()))
      return { _tag: kind, how, calls, pause: yield* between(0, 500) }
    }
    case "Suspend":
    case "Drain":
    case "Remove":
    case "Stop":
      return { _tag: kind, pause: yield* between(50, 600) }
    default:
      return { _tag: kind }
  }
})

/** Steps per second. */
const rate = 90

/** The generation of that number: the same for the same seed. */
export const draw = (seed: string, number: number): Effect.Effect<Generation> =>
  Effect.gen(function* () {
    const servers = yield* drawServers
    const length = yield* between(5_000, 8_000)
    const ending = yield* Random.choice(["Quiet", "Abrupt", "Interrupted"] as const)
    const steps: Array<Step> = []
    let ids = 0
    const nextId = () => `${number}.${++ids}`
    while (steps.length < (length / 1_000) * rate) {
      const at = yield* between(0, length)
      const { name } = servers[yield* between(0, servers.length - 1)]!
      steps.push({ at, server: name, act: yield* drawAct(yield* drawKind, nextId) })
    }
    return { number, length, ending, servers, steps }
  }).pipe(Random.withSeed(`${seed}/${number}`))
