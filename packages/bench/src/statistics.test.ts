import assert from "node:assert/strict"
import { test } from "node:test"
import { best, median, outliers, rotated, slope } from "./statistics.ts"

void test("the median is the middle, or between the two middles", () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.ok(Number.isNaN(median([])))
})

void test("the best is the least", () => {
  assert.equal(best([3, 1, 2]), 1)
})

void test("the slope of points on a line is the line's", () => {
  assert.equal(
    slope([
      [0, 5],
      [10, 25],
      [20, 45]
    ]),
    2
  )
  assert.equal(slope([[1, 7]]), 0)
})

void test("outliers are those far from the median", () => {
  assert.deepEqual(outliers([10, 11, 9, 20, 5], 0.2), [3, 4])
})

void test("every stack comes first once before one comes first again", () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((round) => rotated(["a", "b", "c"], round)[0]),
    ["a", "b", "c", "a"]
  )
})
