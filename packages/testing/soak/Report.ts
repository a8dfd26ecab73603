/** What people read of a soak: a line now and then, and the table at its end. */
import type { Growth } from "./Check.ts"
import * as Check from "./Check.ts"
import type { Operation } from "./Load.ts"

export interface Tally {
  readonly broken: Array<Check.Broken & { readonly generation: number }>
  readonly outcomes: Map<string, number>
  readonly operations: Map<string, number>
  readonly faults: Map<string, number>
  readonly heaps: Array<number>
  generations: number
  executions: number
  processes: number
  sessions: number
  restarts: number
  slowestClose: number
  /** Milliseconds that the event loop stood still. */
  stalled: number
}

export const makeTally = (): Tally => ({
  broken: [],
  outcomes: new Map(),
  operations: new Map(),
  faults: new Map(),
  heaps: [],
  generations: 0,
  executions: 0,
  processes: 0,
  sessions: 0,
  restarts: 0,
  slowestClose: 0,
  stalled: 0
})

const increase = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)

export const add = (tally: Tally, operations: ReadonlyArray<Operation>, findings: Check.Findings): void => {
  tally.executions += findings.executions
  tally.processes += findings.processes
  tally.sessions += findings.sessions
  tally.restarts += findings.restarts
  for (const fault of findings.faults) increase(tally.faults, fault)
  for (const { end, id, name } of operations) {
    if (id === undefined) increase(tally.operations, name)
    else if (end === undefined) increase(tally.outcomes, "never ended")
    else if (end.outcome._tag === "Failed") increase(tally.outcomes, `${end.outcome.reason}, ${end.outcome.delivery}`)
    else increase(tally.outcomes, end.outcome._tag.toLowerCase())
  }
}

const sum = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((total, count) => total + count, 0)

const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`

const clock = (millis: number) => {
  const seconds = Math.round(millis / 1_000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
}

/** Where a run stands, in one line. */
export const progress = (tally: Tally, elapsed: number, total: number, running: ReadonlyArray<Operation>): string =>
  [
    `soak ${clock(elapsed)} of ${clock(total)}`,
    `pool ${tally.generations + 1}`,
    `${sum(tally.outcomes) + running.filter(({ id }) => id !== undefined).length} calls`,
    `${tally.executions} executions`,
    `${tally.processes} processes`,
    `heap ${mebibytes(tally.heaps.at(-1) ?? 0)}`,
    `${tally.broken.length} broken`
  ].join(" · ")

const rows = (counts: ReadonlyMap<string, number>) =>
  [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `  ${name.padEnd(34)}${String(count).padStart(7)}`)

/** The table at the end, and each broken invariant with what repeats it. */
export const summary = (tally: Tally, seed: string, elapsed: number, growth: Growth): string => {
  const line = (name: string, value: string | number) => `${name.padEnd(36)}${String(value).padStart(7)}`
  const { heaps } = tally
  const rise =
    growth.rise === undefined ? "too few pools to judge" : `last third ${mebibytes(growth.rise)} above the first`
  const table = [
    line("pools", tally.generations),
    line("processes started", tally.processes),
    line("sessions opened", tally.sessions),
    line("opened again", tally.restarts),
    line("executions", tally.executions),
    line("calls", sum(tally.outcomes)),
    ...rows(tally.outcomes),
    line("other operations", sum(tally.operations)),
    ...rows(tally.operations),
    line("faults that struck", sum(tally.faults)),
    ...rows(tally.faults),
    `slowest close ${Math.round(tally.slowestClose)} ms, event loop stood still for ${Math.round(tally.stalled)} ms`,
    `heap ${mebibytes(heaps[0] ?? 0)} to ${mebibytes(heaps.at(-1) ?? 0)}, ${(growth.slope / 1024).toFixed(0)} KiB per pool, ${rise}`
  ]
  const shown = 40
  const findings = tally.broken
    .slice(0, shown)
    .map(({ detail, generation, invariant }) => `  pool ${generation}, ${invariant}: ${detail}`)
  const names = [...new Set(tally.broken.map(({ invariant }) => invariant))]
  const verdict =
    tally.broken.length === 0
      ? [`passed in ${clock(elapsed)}, seed ${seed}`]
      : [
          `failed with seed ${seed}: ${tally.broken.length} findings`,
          ...findings,
          ...(tally.broken.length > shown ? [`  and ${tally.broken.length - shown} more`] : []),
          ...names.map((name) => `broken: ${name} (${Check.invariants[name]})`)
        ]
  return [...table, ...verdict, ""].join("\n")
}
