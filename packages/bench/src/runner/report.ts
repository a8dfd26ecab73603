/** From rounds to figures: best and median, multiples of raw, verdicts, and the check against a padded floor. */
import {
  type Metric,
  ours,
  paddedFloor,
  roundsForVerdict,
  type StackName,
  stacks,
  type WorkloadName,
  workloads
} from "../plan.ts"
import { best, median } from "../statistics.ts"
import { type Judged, type Results, wanted } from "./rounds.ts"

export interface Row {
  readonly stack: StackName
  readonly best: number
  readonly median: number
  /** Against raw: the best figure against raw's best, and the median of each round's figure against raw's of that round. */
  readonly relativeBest: number | undefined
  readonly relativeMedian: number | undefined
  readonly verdict: "ok" | "over" | undefined
}

export interface MetricReport extends Metric {
  readonly rows: ReadonlyArray<Row>
}

export interface WorkloadReport {
  readonly workload: WorkloadName
  readonly title: string
  readonly quietRounds: number
  readonly roundsWanted: number
  readonly refused: ReadonlyArray<string>
  readonly failures: Readonly<Partial<Record<StackName, string>>>
  readonly metrics: ReadonlyArray<MetricReport>
  /** Why the figures do not count: a floor that costs more than it did. */
  readonly padded: string | undefined
}

const against = (metric: Metric, value: number, raw: number): number | undefined => {
  if (metric.judged === "absolute") return undefined
  return metric.judged === "ratio" ? value / raw : value - raw
}

/** Counts are judged by the worst round, other absolute figures by the median, and what is relative to raw by the best. */
const judgedValue = (metric: Metric, values: ReadonlyArray<number>, relativeBest: number | undefined): number =>
  relativeBest ?? (metric.unit === "" ? Math.max(...values) : median(values))

const rowOf = (metric: Metric, stack: StackName, rounds: ReadonlyArray<Judged>): Row | undefined => {
  const pairs = rounds.flatMap(({ figures }) => {
    const value = figures[stack]?.[metric.name]
    return value === undefined ? [] : [[value, figures.raw?.[metric.name] ?? NaN] as const]
  })
  if (pairs.length === 0) return undefined
  const values = pairs.map(([value]) => value)
  const relativeBest = against(metric, best(values), best(pairs.map(([, raw]) => raw)))
  const isKnown = relativeBest === undefined || !Number.isNaN(relativeBest)
  const relative = pairs.flatMap(([value, raw]) => against(metric, value, raw) ?? [])
  return {
    stack,
    best: best(values),
    median: median(values),
    relativeBest,
    relativeMedian: relative.length === 0 ? undefined : median(relative),
    verdict:
      metric.must === undefined || !ours.has(stack) || !isKnown
        ? undefined
        : judgedValue(metric, values, relativeBest) <= metric.must
          ? "ok"
          : "over"
  }
}

const figure = (value: number): string =>
  Number.isNaN(value)
    ? "–"
    : Math.abs(value) >= 1000
      ? Math.round(value).toString()
      : String(Number(value.toPrecision(3)))

const paddedBy = (metrics: ReadonlyArray<MetricReport>): string | undefined => {
  const low = metrics.flatMap(({ before, name, rows, unit }) => {
    const measured = rows.find(({ stack }) => stack === "sdk-2.4")?.relativeBest
    const raw = rows.find(({ stack }) => stack === "raw")?.best
    if (before === undefined || measured === undefined || raw === undefined) return []
    if (!(measured < before.sdk * (1 - paddedFloor))) return []
    // Both halves of the ratio, because it also falls when the SDK has become cheaper.
    return [
      `${name} of SDK 2.4 is ${measured.toFixed(2)} times raw, the table has ${before.sdk} (raw ${figure(raw)} ${unit}, there ${before.raw})`
    ]
  })
  return low.length === 0 ? undefined : low.join("; ")
}

export const report = (
  results: Results,
  order: ReadonlyArray<StackName>,
  rounds: number
): ReadonlyArray<WorkloadReport> =>
  [...results].map(([workload, all]) => {
    const quiet = all.filter(({ refused }) => refused === undefined)
    const metrics = workloads[workload].metrics.map((metric) => ({
      ...metric,
      rows: order.flatMap((stack) => rowOf(metric, stack, quiet) ?? [])
    }))
    return {
      workload,
      title: workloads[workload].title,
      quietRounds: quiet.length,
      roundsWanted: wanted({ rounds }, workload),
      refused: all.flatMap(({ refused }) => refused ?? []),
      failures: Object.assign({}, ...all.map(({ failures }) => failures)) as WorkloadReport["failures"],
      metrics,
      padded: paddedBy(metrics)
    }
  })

const relativeText = ({ judged, unit }: Metric, value: number | undefined): string => {
  if (value === undefined || Number.isNaN(value)) return "–"
  return judged === "ratio" ? value.toFixed(2) : `${value < 0 ? "" : "+"}${figure(value)} ${unit}`
}

const limitText = (metric: Metric, value: number | undefined): string =>
  value === undefined ? "" : metric.judged === "absolute" ? figure(value) : relativeText(metric, value)

const pad = (cells: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd()
  )
}

const metricLines = (metric: MetricReport, quietRounds: number, roundsWanted: number): ReadonlyArray<string> => {
  const enough = quietRounds >= Math.min(roundsForVerdict, roundsWanted) && roundsWanted >= roundsForVerdict
  const head = [metric.unit === "" ? metric.name : `${metric.name}, ${metric.unit}`, "best", "median"]
  const relative = metric.judged === "absolute" ? [] : ["× raw best", "median"]
  const isLimited = metric.must !== undefined
  const rows = metric.rows.map((row) => [
    stacks[row.stack].title,
    figure(row.best),
    figure(row.median),
    ...(relative.length === 0
      ? []
      : [relativeText(metric, row.relativeBest), relativeText(metric, row.relativeMedian)]),
    ...(isLimited
      ? [
          ours.has(row.stack) ? limitText(metric, metric.must) : "",
          row.verdict === undefined ? "" : enough || metric.judged === "absolute" ? row.verdict : `${row.verdict} ?`
        ]
      : [])
  ])
  return pad([[...head, ...relative, ...(isLimited ? ["must", ""] : [])], ...rows]).map((line) => `  ${line}`)
}

/** The tables for people. */
export const text = (reports: ReadonlyArray<WorkloadReport>): string =>
  reports
    .flatMap(({ failures, metrics, padded, quietRounds, refused, roundsWanted, title, workload }) => [
      `${title} (${workload}): ${quietRounds} of ${roundsWanted} rounds count`,
      ...metrics.flatMap((metric) => metricLines(metric, quietRounds, roundsWanted)),
      ...[...new Set(refused)].map((why) => `  refused: ${why}`),
      ...Object.entries(failures).map(([stack, why]) => `  ${stack} failed: ${why}`),
      ...(padded === undefined ? [] : [`  REFUSED, the SDK looks too cheap beside the floor: ${padded}`]),
      ""
    ])
    .join("\n")
