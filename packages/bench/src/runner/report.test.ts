import assert from "node:assert/strict"
import { test } from "node:test"
import { report } from "./report.ts"
import { judge, type Round } from "./rounds.ts"

const round = (raw: number, sdk: number, bare: number, others = 0): Round => ({
  figures: {
    raw: { p50: raw, cpu: raw },
    "sdk-2.4": { p50: sdk, cpu: sdk * 1.5 },
    bare: { p50: bare, cpu: bare }
  },
  failures: {},
  others
})

const reportOf = (rounds: ReadonlyArray<Round>) =>
  report(new Map([["stdio-one", judge("stdio-one", rounds, false)]] as const), ["raw", "sdk-2.4", "bare"], 5)[0]!

void test("a round in which others worked, or raw strayed, does not count", () => {
  const judged = judge(
    "stdio-one",
    [round(100, 180, 115), round(101, 180, 115, 0.4), round(150, 180, 115), round(99, 180, 115)],
    false
  )
  assert.deepEqual(
    judged.map(({ refused }) => refused === undefined),
    [true, false, false, true]
  )
})

void test("best is best against raw's best, and the median is that of the rounds' ratios", () => {
  const row = reportOf([round(100, 180, 120), round(90, 180, 117), round(110, 200, 115)]).metrics[0]!.rows[2]!
  assert.equal(row.relativeBest, 115 / 90)
  assert.equal(row.relativeMedian, 1.2)
  assert.equal(row.verdict, "over")
})

void test("a floor that makes the SDK look cheap is refused", () => {
  assert.equal(reportOf([round(100, 177, 115)]).padded, undefined)
  assert.match(reportOf([round(100, 124, 115)]).padded ?? "", /p50 of SDK 2.4 is 1.24 times raw/)
})
