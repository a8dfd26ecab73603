/**
 * Fails when `docs/guarantees.md` names a test that does not exist or did not pass in the last run under CI, whose report
 * is given as the argument. A test is named as `package` › `title of the test`.
 */
import { readFileSync } from "node:fs"
import * as path from "node:path"

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly assertionResults: ReadonlyArray<{ readonly title: string; readonly status: string }>
  }>
}

const [, , reportFile = ".ci/report.json"] = process.argv
const report = JSON.parse(readFileSync(reportFile, "utf8")) as Report
const passed = new Set<string>()
for (const file of report.testResults) {
  const packageName = path.relative("packages", file.name).split(path.sep)[0]
  for (const test of file.assertionResults) if (test.status === "passed") passed.add(`${packageName} › ${test.title}`)
}

let named = 0
let missing = 0
for (const [index, line] of readFileSync("docs/guarantees.md", "utf8").split("\n").entries()) {
  for (const [, packageName, title] of line.matchAll(/`([a-z]+)` › `([^`]+)`/g)) {
    named++
    if (passed.has(`${packageName} › ${title}`)) continue
    missing++
    process.stderr.write(`docs/guarantees.md:${index + 1}: no test of ${packageName} named "${title}" has passed\n`)
  }
}

process.stdout.write(`${named} tests named, ${missing} of them missing\n`)
process.exitCode = missing > 0 || named === 0 ? 1 : 0
