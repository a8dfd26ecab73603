import { assert, describe, it } from "@effect/vitest"
import { judge, line, type Outcome, parseList, total, whole } from "../src/suite.ts"

const run = { scenario: "initialize", leg: "2025-11-25" }

const outcome = (change: Partial<Outcome> = {}): Outcome => ({
  ...run,
  passed: true,
  checks: 1,
  skipped: [],
  complaints: [],
  seconds: 1,
  ...change
})

describe("the list of scenarios", () => {
  it("gives a run for each leg, and none for a revision that is no leg", () => {
    const text = [
      "Client scenarios (test against a client):",
      "  - initialize [2025-06-18,2025-11-25]",
      "  - auth/dpop [extension]",
      "  - auth/2025-03-26-oauth-endpoint-fallback [2025-03-26]"
    ].join("\n")
    assert.deepStrictEqual(parseList(text), [
      run,
      { scenario: "auth/dpop", leg: "extension" },
      { scenario: "auth/2025-03-26-oauth-endpoint-fallback", leg: "2025-03-26" }
    ])
  })
})

describe("a run", () => {
  const told = { code: 0, checks: [{ name: "a", status: "SUCCESS" }], output: "", seconds: 1 }

  it("passes when the suite says so and something was checked", () => {
    assert.deepInclude(judge(run, told), { passed: true, checks: 1 })
    assert.isFalse(judge(run, { ...told, checks: [] }).passed)
    assert.isFalse(judge(run, { ...told, code: 1 }).passed)
  })

  it("tells what was not checked", () => {
    const checks = [...told.checks, { name: "b", status: "SKIPPED" }]
    assert.include(line(judge(run, { ...told, checks })), "skipped: b")
  })

  it("says why it did not pass", () => {
    const checks = [
      { name: "a", status: "FAILURE", errorMessage: "no header" },
      { name: "b", status: "WARNING" }
    ]
    const failed = judge(run, { ...told, code: 1, checks, output: "CLIENT TIMED OUT - Test incomplete\n" })
    assert.deepStrictEqual(failed.complaints, ["a: no header", "b", "CLIENT TIMED OUT - Test incomplete"])
    assert.include(line(failed), "FAIL 2025-11-25")
    assert.include(line(failed), "no header")
  })
})

describe("the total", () => {
  const all = Array.from({ length: whole.runs }, (_, index) => outcome({ checks: index === 0 ? whole.checks : 0 }))

  it("is right only with all runs and all checks", () => {
    assert.isTrue(total(all, false).ok)
    assert.isFalse(total(all.slice(1), false).ok)
    assert.isFalse(total([...all.slice(1), outcome({ checks: whole.checks - 1 })], false).ok)
    assert.isFalse(total([...all.slice(1), outcome({ passed: false, checks: whole.checks })], false).ok)
  })

  it("holds a selection to its own runs", () => {
    assert.isTrue(total([outcome()], true).ok)
    assert.isFalse(total([], true).ok)
    assert.strictEqual(total([outcome()], true).text, "1 runs: 1 passed, 0 failed; 1 checks")
  })
})
