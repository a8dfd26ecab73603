import { assert, describe, it } from "@effect/vitest"
import { Limits } from "@scoped-mcp/core"
import { Duration } from "effect"

describe("Limits", () => {
  it("has the documented defaults", () => {
    const { callIdleTimeout, connectTimeout, ...rest } = Limits.resolve({})
    assert.deepStrictEqual([Duration.toSeconds(connectTimeout), Duration.toSeconds(callIdleTimeout)], [10, 60])
    assert.deepInclude(rest, { maxConcurrency: 50, maxWaiting: 1_000, overload: "suspend", maxRequestBytes: 1_048_576 })
  })

  it("reads durations and sizes with their units", () => {
    const limits = Limits.resolve({
      callTimeout: "2 minutes",
      idleTimeToLive: Duration.hours(1),
      maxMessageBytes: "64 KiB"
    })
    assert.deepStrictEqual(
      [Duration.toMillis(limits.callTimeout), Duration.toMillis(limits.idleTimeToLive), limits.maxMessageBytes],
      [120_000, 3_600_000, 65_536]
    )
  })

  it("refuses a bare number as a duration and says how to write it", () => {
    const write = (value: unknown) => () => Limits.resolve({ callTimeout: value as Limits.Span })
    assert.throws(write(20), 'callTimeout needs a unit: write "20 seconds" or "20 millis"')
    assert.throws(write(20n), "callTimeout needs a unit")
    assert.throws(write("0 seconds"), "callTimeout must be longer than nothing")
    assert.throws(write(Duration.seconds(-1)), "callTimeout must be longer than nothing")
  })

  it("names the option whose value cannot be read, and says how to write it", () => {
    const write = (limits: unknown) => () => Limits.resolve(limits as Limits.ServerLimits)
    assert.throws(write({ callTimeout: "20 secs" }), 'callTimeout is no length of time: write "20 seconds"')
    assert.throws(write({ restart: { period: "soon" } }), "restart.period is no length of time")
    assert.throws(
      write({ maxMessageBytes: "1 MiBs" }),
      'maxMessageBytes is no number of bytes: write 1048576 or "1 MiB"'
    )
    assert.throws(write({ maxRequestBytes: -1 }), "maxRequestBytes is no number of bytes")
    assert.throws(write({ health: { check: "pong" } }), "health.check must be ping or list or process or off")
    assert.throws(write({ overload: "wait" }), "overload must be suspend or reject")
  })

  it("refuses counts that no server could have", () => {
    assert.throws(() => Limits.resolve({ maxConcurrency: 0 }), "maxConcurrency must be a whole number of at least 1")
    assert.throws(() => Limits.resolve({ maxWaiting: -1 }), "maxWaiting must be a whole number of at least 0")
    assert.throws(() => Limits.resolve({ maxWaiting: Number.NaN }), "maxWaiting")
  })
})
