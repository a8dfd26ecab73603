/** The few statistics that the figures rest on. */

export const median = (values: ReadonlyArray<number>): number => {
  if (values.length === 0) return NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const best = (values: ReadonlyArray<number>): number => (values.length === 0 ? NaN : Math.min(...values))

/** The slope of the line that fits the points best (least squares). */
export const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const count = points.length
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / count
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / count
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const under = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return under === 0 ? 0 : over / under
}

/** Which values lie further from the median of all than so much of it. */
export const outliers = (values: ReadonlyArray<number>, tolerance: number): ReadonlyArray<number> => {
  const middle = median(values)
  return values.flatMap((value, index) => (Math.abs(value - middle) > tolerance * Math.abs(middle) ? [index] : []))
}

/** The order of the stacks in a round: each begins once before any begins again. */
export const rotated = <A>(values: ReadonlyArray<A>, round: number): ReadonlyArray<A> => {
  const from = values.length === 0 ? 0 : round % values.length
  return [...values.slice(from), ...values.slice(0, from)]
}
