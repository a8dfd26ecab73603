import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as LatencyHistogram from "../../src/internal/LatencyHistogram.ts"

const millis = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000_000 })))

describe("LatencyHistogram", () => {
  it("has nothing to tell before the first call", () => {
    assert.deepStrictEqual(LatencyHistogram.make().stats(), {
      count: 0,
      p50Millis: 0,
      p95Millis: 0,
      p99Millis: 0,
      maxMillis: 0
    })
  })

  it.prop("tells percentiles to a twelfth, whatever the calls took", [millis], ([micros]) => {
    const histogram = LatencyHistogram.make()
    const times = micros.map((it) => it / 1_000).sort((a, b) => a - b)
    for (const time of times) histogram.record(time)
    const stats = histogram.stats()
    assert.strictEqual(stats.count, times.length)
    assert.strictEqual(stats.maxMillis, times.at(-1) ?? 0)
    for (const [share, seen] of [
      [0.5, stats.p50Millis],
      [0.95, stats.p95Millis],
      [0.99, stats.p99Millis]
    ] as const) {
      const exact = times[Math.ceil(times.length * share) - 1] ?? 0
      assert.isAtLeast(seen, exact * 0.999_999)
      assert.isAtMost(seen, exact * (1 + 1 / 11) + 1e-9)
    }
  })

  it("counts what is shorter or longer than its buckets in the first and the last", () => {
    const histogram = LatencyHistogram.make()
    for (const time of [0, 0.000_1, 1e9]) histogram.record(time)
    assert.deepInclude(histogram.stats(), { count: 3, maxMillis: 1e9 })
    assert.deepStrictEqual([histogram.atMost(1), histogram.atMost(1e9), histogram.sum()], [2, 3, 1_000_000_000.000_1])
  })
})
