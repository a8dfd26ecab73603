/** What a scenario has measured, and what is made of several rounds of it. */

export interface Figure {
  readonly what: string
  readonly value: number
  /** Counts are of what must not be there. */
  readonly unit: "ms" | "MiB" | "count"
  readonly limit: number
}

export interface Summary extends Figure {
  /** `value` is the median; this is the worst of all rounds. */
  readonly worst: number
  readonly rounds: number
  readonly holds: boolean
}

export const millis = (what: string, value: number, limit: number): Figure => ({ what, value, unit: "ms", limit })
export const mebibytes = (what: string, bytes: number, limit: number): Figure => ({
  what,
  value: bytes / 1024 / 1024,
  unit: "MiB",
  limit
})
export const none = (what: string, value: number): Figure => ({ what, value, unit: "count", limit: 0 })

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Times are judged by their median. What must not be there at all must not be there once. */
export const summarise = (figures: ReadonlyArray<Figure>): ReadonlyArray<Summary> =>
  [...Map.groupBy(figures, ({ what }) => what)].map(([what, all]) => {
    const { limit, unit } = all[0]!
    const values = all.map(({ value }) => value)
    const worst = Math.max(...values)
    const value = unit === "count" ? worst : median(values)
    return { what, unit, limit, value, worst, rounds: all.length, holds: value <= limit }
  })

const number = (value: number, unit: Figure["unit"]): string =>
  unit === "count" ? String(Math.round(value)) : `${value.toFixed(unit === "ms" ? 0 : 1)} ${unit}`

export const print = ({ holds, limit, rounds, unit, value, what, worst }: Summary): string =>
  [
    holds ? "  ok  " : " OVER ",
    what.padEnd(72),
    number(value, unit).padStart(11),
    `of ${number(limit, unit)}`.padStart(14),
    rounds === 1 ? "" : `  worst of ${rounds}: ${number(worst, unit)}`
  ].join("")
