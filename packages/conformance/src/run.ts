/**
 * Runs the conformance suite with the pool as the client under test: every scenario on every leg, two at a time.
 *
 * `node src/run.ts [PART OF A NAME…]`; the parts select by scenario or leg.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Check, judge, line, type Outcome, parseList, type Run, total } from "./suite.ts"

const atOnce = 2
const folder = fileURLToPath(new URL("..", import.meta.url))
const program = join(folder, "node_modules/@modelcontextprotocol/conformance/dist/index.js")

const env = {
  ...process.env,
  // The suite starts the client by a command that it splits at blanks: this Node.js, by its name alone.
  PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter),
  // 128 processes load the same code.
  NODE_COMPILE_CACHE: join(folder, "node_modules/.cache/compile"),
  NODE_NO_WARNINGS: "1"
}

const suite = async (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk))
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk))
  const [code] = (await once(child, "close")) as [number | null]
  return { code: code ?? 1, stdout, stderr }
}

const play = async (run: Run): Promise<Outcome> => {
  const results = mkdtempSync(join(tmpdir(), "scoped-mcp-conformance-"))
  const began = performance.now()
  const version = run.leg === "extension" ? [] : ["--spec-version", run.leg]
  const command = ["--command", "node src/client/main.ts"]
  try {
    const { code, stderr } = await suite("client", ...command, "--scenario", run.scenario, ...version, "-o", results)
    const checks = globSync(join(results, "**/checks.json")).flatMap(
      (file) => JSON.parse(readFileSync(file, "utf8")) as ReadonlyArray<Check>
    )
    return judge(run, { code, checks, output: stderr, seconds: (performance.now() - began) / 1000 })
  } finally {
    rmSync(results, { recursive: true })
  }
}

const parts = process.argv.slice(2)
const listed = await suite("list", "--client")
const runs = parseList(listed.stdout).filter(
  (run) => parts.length === 0 || parts.some((part) => `${run.leg} ${run.scenario}`.includes(part))
)
const waiting = [...runs]
const outcomes: Array<Outcome> = []
const began = performance.now()
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
      const outcome = await play(run)
      outcomes.push(outcome)
      process.stdout.write(`${line(outcome)}\n`)
    }
  })
)
const { ok, text } = total(outcomes, parts.length > 0)
process.stdout.write(`${text}; ${((performance.now() - began) / 1000).toFixed(0)} s\n`)
process.exitCode = ok ? 0 : 1
