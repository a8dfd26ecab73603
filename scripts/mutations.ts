/**
 * Shows that the tests hold what they claim: breaks one safety at a time, in a copy of the repository, and runs the tests
 * of the packages concerned. A mutation that no test notices fails the run; so does one that proves nothing, because the
 * tests fail without it, or because what it makes is no program.
 *
 * `node scripts/mutations.ts [NAME…]` runs all mutations, or those whose names contain one of the words.
 */
import { execFileSync, spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { mutations, type Mutation } from "./mutationList.ts"

const root = path.resolve(import.meta.dirname, "..")
const copy = mkdtempSync(path.join(tmpdir(), "scoped-mcp-mutations-"))

/** The committed and uncommitted sources; installed packages are linked, except our own, which must be the copies. */
const prepare = () => {
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root })
  for (const file of files.toString().split("\n")) {
    if (file === "" || file === "node_modules" || file.startsWith("packages/bench/")) continue
    if (!existsSync(path.join(root, file))) continue // deleted, and not yet committed
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
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{ readonly title: string; readonly status: string }>
  }>
}

interface Outcome {
  /** The files that were run, and the titles of their tests. */
  readonly files: ReadonlyArray<string>
  readonly titles: ReadonlyArray<string>
  /** What failed: the titles of tests, and what went wrong around them. */
  readonly failures: ReadonlyArray<string>
  /** Why files could not even be loaded: the text is broken, and not its behaviour. */
  readonly unloadable: ReadonlyArray<string>
}

const firstLines = (text: string) => text.trim().split("\n").slice(0, 2).join(" ").slice(0, 160)

const outcomeOf = ({ testResults }: Report, passed: boolean): Outcome => {
  const failedFiles = testResults.filter(({ status }) => status === "failed")
  const failures = failedFiles.flatMap(({ assertionResults, message }) => {
    const titles = assertionResults.flatMap(({ status, title }) => (status === "failed" ? [title] : []))
    return titles.length > 0 || message === "" ? titles : [`(after the tests) ${firstLines(message)}`]
  })
  return {
    files: testResults.map(({ name }) => name),
    titles: testResults.flatMap(({ assertionResults }) => assertionResults.map(({ title }) => title)),
    failures: failures.length === 0 && !passed ? ["(an error outside a test)"] : failures,
    // Without a message it is one that was left out after the first failure.
    unloadable: failedFiles.flatMap(({ assertionResults, message }) =>
      assertionResults.length === 0 && message !== "" ? [firstLines(message)] : []
    )
  }
}

/** What a mutation has set free outlives its tests; it is known by the folder it was started in. */
const endLeftovers = () => {
  if (process.platform !== "linux") return
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const folder = readlinkSync(`/proc/${pid}/cwd`)
      if (folder === copy || folder.startsWith(`${copy}/`)) process.kill(Number(pid), "SIGKILL")
    } catch {
      // ended meanwhile, or not ours to look at
    }
  }
}

/** Much of what is broken hangs. Tests that set a limit of their own keep it. */
const testTimeout = 6_000

const hung: Outcome = { files: [], titles: [], failures: ["(the run did not come to its end)"], unloadable: [] }

const runTests = (
  projects: Iterable<string>,
  tests: Iterable<string>,
  limit: number,
  flags: ReadonlyArray<string>
): Outcome => {
  const report = path.join(copy, "mutation-report.json")
  rmSync(report, { force: true })
  const { error, status } = spawnSync(
    path.join(root, "node_modules", ".bin", "vitest"),
    [
      "run",
      "--config=vitest.workspace.ts",
      "--reporter=json",
      `--testTimeout=${testTimeout}`,
      `--outputFile=${report}`,
      ...flags,
      ...[...projects].flatMap((project) => ["--project", project]),
      ...tests
    ],
    { cwd: copy, stdio: "ignore", timeout: limit, killSignal: "SIGKILL" }
  )
  endLeftovers()
  if (error !== undefined && !("code" in error && error.code === "ETIMEDOUT")) throw error
  if (!existsSync(report)) return hung
  return outcomeOf(JSON.parse(readFileSync(report, "utf8")) as Report, status === 0)
}

const words = process.argv.slice(2)
const chosen = mutations.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))
const secondsSince = (start: number) => `${((performance.now() - start) / 1000).toFixed(1)} s`
const say = (line: string) => process.stdout.write(`${line}\n`)

/** Whether the tests pass as long as nothing is broken, and each of their names means something. */
const testsPass = (): boolean => {
  const tests = new Set(chosen.flatMap((mutation) => mutation.tests))
  const projects = new Set(chosen.flatMap((mutation) => mutation.projects))
  const start = performance.now()
  const { failures, files, titles } = runTests(projects, tests, 600_000, [])
  const unknown = [
    ...[...tests].filter((test) => !files.some((file) => file.includes(test))),
    ...chosen.flatMap(({ title }) => (title === undefined || titles.some((it) => it.includes(title)) ? [] : [title]))
  ]
  for (const failure of failures) say(`✗ without a mutation: ${failure}`)
  for (const name of unknown) say(`✗ no test is named ${name}`)
  say(`${titles.length} tests without a mutation: ${secondsSince(start)}`)
  return failures.length === 0 && unknown.length === 0
}

/** What noticed the mutation, or why nothing did. */
const judge = (mutation: Mutation): readonly [noticed: boolean, how: string] => {
  const file = path.join(copy, mutation.file)
  const source = readFileSync(file, "utf8")
  if (source.split(mutation.find).length !== 2) return [false, `its text stands not exactly once in ${mutation.file}`]
  writeFileSync(
    file,
    source.replace(mutation.find, () => mutation.replace)
  )
  const flags = ["--bail=1", ...(mutation.title === undefined ? [] : ["-t", mutation.title])]
  const { failures, unloadable } = runTests(mutation.projects, mutation.tests, 180_000, flags)
  writeFileSync(file, source)
  if (unloadable.length > 0) return [false, `it is no program: ${unloadable[0]}`]
  return failures.length === 0 ? [false, "NOT NOTICED"] : [true, failures[0] ?? ""]
}

const start = performance.now()
let unnoticed = 0
try {
  prepare()
  if (chosen.length > 0 && testsPass()) {
    for (const mutation of chosen) {
      const since = performance.now()
      const [noticed, how] = judge(mutation)
      if (!noticed) unnoticed++
      say(`${noticed ? "✓" : "✗"} ${mutation.name}: ${how} (${secondsSince(since)})`)
    }
    say(`${chosen.length} mutations, ${unnoticed} not noticed: ${secondsSince(start)}`)
  } else unnoticed++
} finally {
  rmSync(copy, { recursive: true, force: true })
}
process.exitCode = unnoticed > 0 ? 1 : 0
