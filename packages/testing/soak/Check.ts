/**
 * What must hold of a generation, as pure functions of what the servers wrote down, what the system showed and what the
 * callers met. Each finding is one broken invariant in one sentence.
 */
import { Journal } from "@scoped-mcp/testing"
import { Effect } from "effect"
import type { Incarnation } from "./Fleet.ts"
import { callLimit, closeLimit, type Operation, type Record } from "./Load.ts"
import type { Holdings, Seen, Watch } from "./Watch.ts"

/** The invariants, by name. */
export const invariants = {
  settled: "every call and every other operation ends within its limit",
  once: "no call runs twice, one that succeeded has run once, one that was not sent never",
  single: "no two processes of one server run at the same time, but for one that still has calls to end",
  gone: "nothing is left of a pool that was closed: processes, sessions, descriptors, timers, sockets",
  heap: "the heap does not grow with the pools that come and go",
  typed: "callers meet answers and typed errors, never a defect or the answer to another call"
} as const

export interface Broken {
  readonly invariant: keyof typeof invariants
  readonly detail: string
}

export interface Evidence {
  readonly record: Record
  readonly incarnations: ReadonlyArray<Incarnation>
  readonly seen: ReadonlyArray<Seen>
  readonly stalled: Watch["stalled"]
  /** When the pool had been closed. */
  readonly closedAt: number
  /** Since when callers were interrupted from outside. */
  readonly interruptedAt: number
  readonly leftProcesses: ReadonlyArray<string>
}

interface Chronicle extends Incarnation {
  readonly entries: ReadonlyArray<Journal.Entry>
}

/** What a shared machine may add to any limit, besides what our own event loop stood still. */
const slack = 1_500

/** The clocks of a server and of `/proc`, and the way between two processes. */
const unsharp = 100

/** From asking for a connection to the start of its process, by one clock. */
const spawning = 40

/** A busy process reads what it was sent a while ago. */
const delivered = 300

const broken = (invariant: Broken["invariant"], detail: string): Broken => ({ invariant, detail })

const title = ({ id, name, server }: Operation) => `${name}${id === undefined ? "" : ` ${id}`} on ${server}`

const outcomeText = ({ end }: Operation): string => {
  if (end === undefined) return "did not end"
  const { outcome } = end
  if (outcome._tag === "Failed") return `failed with ${outcome.reason} (${outcome.delivery})`
  return outcome._tag === "Broken" ? `died of ${outcome.detail}` : outcome._tag.toLowerCase()
}

const settled = ({ closedAt, record, stalled }: Evidence): ReadonlyArray<Broken> =>
  record.operations.flatMap((operation) => {
    const { end, limit, startedAt } = operation
    if (end === undefined) return [broken("settled", `${title(operation)} has never ended`)]
    // A call does not outlive its pool, whatever time it had left.
    const allowed = Math.min(limit, Math.max(0, closedAt - startedAt)) + slack + stalled(startedAt, end.at)
    const took = end.at - startedAt
    return took <= allowed
      ? []
      : [
          broken(
            "settled",
            `${title(operation)} took ${Math.round(took)} ms of ${Math.round(allowed)} and ${outcomeText(operation)}`
          )
        ]
  })

const once = ({ record }: Evidence, runs: ReadonlyMap<string, number>): ReadonlyArray<Broken> =>
  record.operations.flatMap((operation) => {
    if (operation.id === undefined) return []
    const count = runs.get(operation.id) ?? 0
    const outcome = operation.end?.outcome
    const mustRun = outcome?._tag === "Succeeded" || (outcome?._tag === "Failed" && outcome.reason === "ToolError")
    const mustNot = outcome?._tag === "Failed" && outcome.delivery === "NotSent"
    return count > 1 || (mustRun && count !== 1) || (mustNot && count !== 0)
      ? [broken("once", `${title(operation)} ${outcomeText(operation)} and ran ${count} times`)]
      : []
  })

interface Span {
  readonly from: number
  readonly until: number
}

const argumentsOf = (frame: Readonly<globalThis.Record<string, unknown>>): unknown => {
  const { params } = frame as { readonly params?: { readonly arguments?: { readonly id?: unknown } } }
  return params?.arguments?.id
}

/**
 * When a process had requests to answer, the handshake not counted: those of our callers from their start to their end,
 * by our own clock; those that the pool makes itself by the journal's.
 */
const busySpans = (
  entries: ReadonlyArray<Journal.Entry>,
  pid: number,
  calls: ReadonlyMap<unknown, Operation>
): { readonly ours: ReadonlyArray<Span>; readonly others: ReadonlyArray<Span> } => {
  const mine = entries.filter((entry) => "session" in entry && entry.session.endsWith(`-${pid}`))
  const ours: Array<Span> = []
  const others: Array<Span> = []
  for (const entry of mine) {
    if (entry._tag !== "FrameReceived") continue
    const { id, method } = entry.frame
    if (id === undefined || method === undefined || method === "initialize" || method === "server/discover") continue
    const call = calls.get(argumentsOf(entry.frame))
    if (call !== undefined) {
      ours.push({ from: call.startedAt, until: call.end?.at ?? Infinity })
      continue
    }
    const end = mine.find(
      (later) =>
        later.at >= entry.at &&
        ((later._tag === "FrameSent" && later.frame["id"] === id && later.frame["method"] === undefined) ||
          (later._tag === "RequestCancelled" && later.requestId === id))
    )
    others.push({ from: entry.at, until: end?.at ?? Infinity })
  }
  return { ours, others }
}

const hasUnread = ({ plan }: Incarnation) =>
  plan.faults.some((fault) => fault._tag === "Frozen" || fault._tag === "StopReading")

const single = (
  { record, seen, stalled }: Evidence,
  chronicle: Chronicle,
  runs: ReadonlyMap<string, number>
): ReadonlyArray<Broken> => {
  const started = new Set(chronicle.entries.flatMap((entry) => (entry._tag === "ProcessStarted" ? [entry.pid] : [])))
  const processes = seen
    .filter(({ pid, tag }) => tag === chronicle.tag && started.has(pid))
    .sort((a, b) => a.startedAt - b.startedAt)
  const calls = new Map<unknown, Operation>(
    record.operations.flatMap((operation) => (operation.id === undefined ? [] : [[operation.id, operation] as const]))
  )
  return processes.flatMap((later, index) =>
    processes.slice(0, index).flatMap((earlier) => {
      const { startedAt } = later
      const together = earlier.lastSeenAt - startedAt
      if (together <= 30) return []
      const what = `${chronicle.tag}: process ${later.pid} was started while ${earlier.pid}`
      // A connection that waits for others to be closed was asked for before that.
      const pause = unsharp + stalled(startedAt - 500, startedAt)
      const waited = processes.some(
        (it) => it !== earlier && it.lastSeenAt < startedAt + unsharp && it.lastSeenAt > startedAt - 2 * pause
      )
      const earliest = waited ? startedAt - closeLimit : startedAt
      const meets = (span: Span, before: number) =>
        span.from <= startedAt + delivered && span.until >= earliest - before
      const tight = spawning + stalled(startedAt - 200, startedAt)
      const { others, ours } = busySpans(chronicle.entries, earlier.pid, calls)
      const isBusy =
        ours.some((span) => meets(span, tight)) ||
        others.some((span) => meets(span, pause)) ||
        record.holds.some((hold) => hold.server === chronicle.plan.name && meets(hold, tight)) ||
        (hasUnread(chronicle) &&
          record.operations.some(
            ({ end, id, server, startedAt: from }) =>
              server === chronicle.plan.name &&
              id !== undefined &&
              !runs.has(id) &&
              meets({ from, until: end?.at ?? Infinity }, tight)
          ))
      if (!isBusy) return [broken("single", `${what} had nothing to do and lived for ${Math.round(together)} ms more`)]
      return together > callLimit + closeLimit + slack + stalled(startedAt, earlier.lastSeenAt)
        ? [broken("single", `${what} had calls, and it lived for ${Math.round(together)} ms more`)]
        : []
    })
  )
}

/** Sessions that the client knows of and has not ended. One whose handshake it gave up has no number for it. */
const openSessions = ({ entries }: Chronicle): ReadonlyArray<string> => {
  const known = new Set(
    entries.flatMap((entry) =>
      entry._tag === "FrameReceived" && entry.frame["method"] !== "initialize" ? [entry.session] : []
    )
  )
  return Journal.openSessions(entries).filter((session) => known.has(session))
}

const gone = (evidence: Evidence, chronicles: ReadonlyArray<Chronicle>): ReadonlyArray<Broken> => [
  ...evidence.leftProcesses.map((process) => broken("gone", `process ${process} is alive after the close`)),
  ...chronicles.flatMap((chronicle) =>
    chronicle.plan.transport === "stdio"
      ? []
      : openSessions(chronicle).map((session) =>
          broken("gone", `session ${session} of ${chronicle.tag} is open after the close`)
        )
  )
]

const typed = ({ interruptedAt, record }: Evidence): ReadonlyArray<Broken> =>
  record.operations.flatMap((operation) => {
    const { end, mayBeInterrupted } = operation
    const unasked =
      end !== undefined && end.outcome._tag === "Interrupted" && !mayBeInterrupted && end.at < interruptedAt
    return end?.outcome._tag === "Broken" || unasked
      ? [broken("typed", `${title(operation)} ${outcomeText(operation)}${unasked ? " by nobody" : ""}`)]
      : []
  })

/** Descriptors may differ by so many from the baseline. */
const spare = 2

/** What this process holds more of than before its servers and its pool. */
export const surplus = (before: Holdings, after: Holdings): ReadonlyArray<Broken> => [
  ...(Math.abs(after.descriptors - before.descriptors) > spare
    ? [broken("gone", `${after.descriptors} descriptors are open, and were ${before.descriptors} before`)]
    : []),
  ...[...after.handles].flatMap(([kind, count]) => {
    const known = before.handles.get(kind) ?? 0
    return count > known ? [broken("gone", `${count - known} ${kind} keep the process alive`)] : []
  })
]

const mebibyte = 1024 * 1024
const growthLimit = 8 * mebibyte

/** Below that the warming up of the engine is all there is to be seen. */
const fewestHeaps = 6

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

export interface Growth {
  /** Bytes per generation, by least squares. */
  readonly slope: number
  /** Bytes by which the last third is above the first; none while there are too few. */
  readonly rise: number | undefined
}

/** The first generation warms the engine up and is left out. */
export const growth = (heaps: ReadonlyArray<number>): Growth => {
  const values = heaps.slice(1)
  if (values.length < 2) return { slope: 0, rise: undefined }
  const middle = (values.length - 1) / 2
  const average = mean(values)
  const slope =
    values.reduce((sum, value, index) => sum + (index - middle) * (value - average), 0) /
    values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0)
  const third = Math.floor(values.length / 3)
  const rise = values.length < fewestHeaps ? undefined : mean(values.slice(-third)) - mean(values.slice(0, third))
  return { slope, rise }
}

export const grown = ({ rise, slope }: Growth): ReadonlyArray<Broken> =>
  rise !== undefined && rise > growthLimit
    ? [
        broken(
          "heap",
          `the last third is ${(rise / mebibyte).toFixed(1)} MiB above the first (${(slope / 1024).toFixed(0)} KiB per pool)`
        )
      ]
    : []

export interface Findings {
  readonly broken: ReadonlyArray<Broken>
  readonly executions: number
  readonly processes: number
  readonly sessions: number
  /** Faults that struck, by name. */
  readonly faults: ReadonlyArray<string>
  /** Connections beyond the first of each server. */
  readonly restarts: number
}

/** Reads the journals and compares. */
export const generation = Effect.fnUntraced(function* (evidence: Evidence): Effect.fn.Return<Findings> {
  const chronicles = yield* Effect.forEach(evidence.incarnations, (incarnation) =>
    Effect.map(incarnation.journal.entries, (entries): Chronicle => ({ ...incarnation, entries }))
  )
  const all = chronicles.flatMap(({ entries }) => entries)
  const runs = new Map<string, number>()
  for (const entry of all) {
    if (entry._tag === "ToolStarted") runs.set(entry.idempotencyId, (runs.get(entry.idempotencyId) ?? 0) + 1)
  }
  const count = (tag: Journal.Entry["_tag"], entries: ReadonlyArray<Journal.Entry> = all) =>
    entries.filter((entry) => entry._tag === tag).length
  return {
    broken: [
      ...settled(evidence),
      ...once(evidence, runs),
      ...chronicles.flatMap((chronicle) => single(evidence, chronicle, runs)),
      ...gone(evidence, chronicles),
      ...typed(evidence)
    ],
    executions: count("ToolStarted"),
    processes: count("ProcessStarted"),
    sessions: count("SessionOpened"),
    faults: all.flatMap((entry) => (entry._tag === "FaultStruck" ? [entry.fault.split(" ")[0]!] : [])),
    restarts: chronicles.reduce((sum, { entries, plan }) => {
      const starts = count(plan.transport === "stdio" ? "ProcessStarted" : "SessionOpened", entries)
      return sum + Math.max(0, starts - 1)
    }, 0)
  }
})
