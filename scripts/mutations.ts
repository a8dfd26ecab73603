/**
 * Shows that the tests hold what they claim: breaks one safety at a time, in a copy of the repository, and runs the tests
 * of the packages concerned. A mutation that no test notices fails the run.
 *
 * `node scripts/mutations.ts [NAME…]` runs all mutations, or those whose names contain one of the words.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { mutations, type Mutation } from "./mutationList.ts"

const root = path.resolve(import.meta.dirname, "..")
const copy = mkdtempSync(path.join(tmpdir(), "scoped-mcp-mutations-"))

/** The committed and uncommitted sources; installed packages are linked, except our own, which must be the copies. */
const prepare = () => {
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root })
  for (const file of files.toString().split("\n")) {
    if (file === "" || file.startsWith("packages/bench/")) continue
    mkdirSync(path.dirname(path.join(copy, file)), { recursive: true })
    cpSync(path.join(root, file), path.join(copy, file), { force: true })
  }
  const modules = path.join(copy, "node_modules")
  mkdirSync(path.join(modules, "@scoped-mcp"), { recursive: true })
  for (const name of readdirSync(path.join(root, "node_modules"))) {
    if (name !== "@scoped-mcp") symlinkSync(path.join(root, "node_modules", name), path.join(modules, name))
  }
  for (const name of readdirSync(path.join(copy, "packages"))) {
    symlinkSync(path.join("..", "..", "packages", name), path.join(modules, "@scoped-mcp", name))
  }
}

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly assertionResults: ReadonlyArray<{ readonly title: string; readonly status: string }>
  }>
}

/** The titles of the tests that failed. A run that could not even report counts as noticed, by what it printed. */
const failuresOf = (mutation: Mutation): ReadonlyArray<string> => {
  const report = path.join(copy, "mutation-report.json")
  rmSync(report, { force: true })
  const run = spawnSync(
    path.join(root, "node_modules", ".bin", "vitest"),
    [
      ...["run", "--config", "vitest.workspace.ts", "--reporter=json", `--outputFile=${report}`, "--bail=1"],
      ...mutation.projects.flatMap((project) => ["--project", project]),
      ...mutation.tests
    ],
    { cwd: copy, encoding: "utf8", timeout: 180_000 }
  )
  if (run.status === 0) return []
  try {
    const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report
    const failed = testResults.flatMap((file) => file.assertionResults.filter((test) => test.status === "failed"))
    return failed.length > 0 ? failed.map((test) => test.title) : ["(an error outside a test)"]
  } catch {
    return ["(the run did not come to its end)"] // a hang or a crash is noticed as well
  }
}

const words = process.argv.slice(2)
const chosen = mutations.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))
let unnoticed = 0
prepare()
try {
  for (const mutation of chosen) {
    const file = path.join(copy, mutation.file)
    const source = readFileSync(file, "utf8")
    if (source.split(mutation.find).length !== 2) {
      unnoticed++
      process.stdout.write(`✗ ${mutation.name}: the text to break stands in ${mutation.file} not exactly once\n`)
      continue
    }
    writeFileSync(
      file,
      source.replace(mutation.find, () => mutation.replace)
    )
    const failures = failuresOf(mutation)
    writeFileSync(file, source)
    if (failures.length === 0) unnoticed++
    process.stdout.write(`${failures.length === 0 ? "✗" : "✓"} ${mutation.name}: ${failures[0] ?? "NOT NOTICED"}\n`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
process.stdout.write(`${chosen.length} mutations, ${unnoticed} not noticed\n`)
process.exitCode = unnoticed > 0 || chosen.length === 0 ? 1 : 0
