/**
 * How long calls take, in bounded memory: counts in buckets that grow with the time they stand for, eight to each
 * doubling, from a microsecond to half an hour. A percentile is off by at most a twelfth.
 */
import type { LatencyStats } from "../PoolStats.ts"

const perDoubling = 8
const buckets = 31 * perDoubling

/** The longest time of a bucket, in milliseconds. */
const upper = (bucket: number): number => 2 ** ((bucket + 1) / perDoubling) / 1_000

export interface LatencyHistogram {
  readonly record: (millis: number) => void
  readonly stats: () => LatencyStats
  /** How many took at most so many milliseconds, to the precision of the buckets; and how long all took together. */
  readonly atMost: (millis: number) => number
  readonly sum: () => number
}

export const make = (): LatencyHistogram => {
  const counts = new Uint32Array(buckets)
  let count = 0
  let sum = 0
  let longest = 0

  const percentile = (share: number): number => {
    const rank = Math.ceil(count * share)
    let seen = 0
    for (let bucket = 0; bucket < buckets; bucket++) {
      seen += counts[bucket]!
      if (seen >= rank) return Math.min(longest, upper(bucket))
    }
    return longest
  }

  return {
    record: (millis) => {
      const bucket = Math.floor(Math.log2(millis * 1_000) * perDoubling)
      counts[bucket < 0 ? 0 : bucket < buckets ? bucket : buckets - 1]!++
      count++
      sum += millis
      if (millis > longest) longest = millis
    },
    stats: () => ({
      count,
      p50Millis: count === 0 ? 0 : percentile(0.5),
      p95Millis: count === 0 ? 0 : percentile(0.95),
      p99Millis: count === 0 ? 0 : percentile(0.99),
      maxMillis: longest
    }),
    atMost: (millis) => {
      let seen = 0
      for (let bucket = 0; bucket < buckets && upper(bucket) <= millis; bucket++) seen += counts[bucket]!
      return seen
    },
    sum: () => sum
  }
}
