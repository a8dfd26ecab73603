import assert from "node:assert/strict"
import { test } from "node:test"
import { parse } from "./options.ts"
import { stackNames, workloadNames } from "./plan.ts"

void test("without options everything is measured, in five rounds", () => {
  const { rounds, stacks, workloads } = parse([])
  assert.deepEqual([rounds, stacks, workloads], [5, stackNames, workloadNames])
})

void test("a number that is none is refused before anything is measured", () => {
  for (const wrong of ["x", "0", "1.5", ""]) {
    for (const option of ["rounds", "measure", "cycles"]) {
      assert.throws(() => parse([`--${option}=${wrong}`]), new RegExp(`--${option} ${wrong}: expected a whole number`))
    }
  }
})

void test("a name that nothing has is refused, and the known ones are told", () => {
  assert.throws(() => parse(["--stack", "raw,sdk"]), /--stack sdk: known are raw, /)
  assert.throws(() => parse(["--workload", "nix"]), /--workload nix: known are stdio-one, /)
})
