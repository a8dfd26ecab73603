/** `npm run bench`: measures, prints tables, writes JSON. See README.md. */
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, loadavg } from "node:os"
import { dirname } from "node:path"
import { type Options, parse } from "../options.ts"
import { canKeepApart, type Settings } from "./process.ts"
import { report, text } from "./report.ts"
import { runAll } from "./rounds.ts"
import { inPackage, versions } from "./versions.ts"

const parsed = (): Options => {
  try {
    return parse(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nREADME.md has all options.\n`)
    return process.exit(4)
  }
}

const { acceptNoise, check, cycles, json, measureMillis, profile, quick, rounds, stacks, workloads } = parsed()
const settings: Settings = { measureMillis, warmMillis: quick ? 250 : Math.min(600, measureMillis), cycles, profile }

const measured = versions()
const load = loadavg()[0]!
if (load > availableParallelism() * 0.25) {
  process.stderr.write(`The machine is busy already (load ${load.toFixed(2)}): expect refused rounds.\n`)
}

const startedAt = new Date()
const results = await runAll({
  ...settings,
  stacks,
  workloads,
  rounds,
  acceptNoise,
  tell: (line) => process.stderr.write(`${line}\n`)
})
const reports = report(results, stacks, rounds)
const isNoisy = reports.some(({ quietRounds, roundsWanted }) => quietRounds < roundsWanted)
const isPadded = reports.some(({ padded }) => padded !== undefined)
const isOver = reports.some(({ metrics }) => metrics.some(({ rows }) => rows.some(({ verdict }) => verdict === "over")))

const path = json ?? inPackage("results/latest.json")
mkdirSync(dirname(path), { recursive: true })
const facts = {
  startedAt: startedAt.toISOString(),
  seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
  node: process.version,
  processors: availableParallelism(),
  loadBefore: load,
  keptApart: canKeepApart,
  versions: measured,
  settings: { ...settings, rounds, acceptNoise, quick },
  refused: isPadded && !acceptNoise ? "padded floor" : isNoisy ? "noise" : undefined,
  workloads: reports,
  rounds: Object.fromEntries(results)
}
writeFileSync(path, `${JSON.stringify(facts, undefined, 2)}\n`)
process.stdout.write(`${text(reports)}\n`)

const lines = [
  `${facts.seconds} s, Node ${process.version}, ${facts.processors} processors, load before ${load.toFixed(2)}`,
  ...(canKeepApart
    ? []
    : ["Client and server may share a processor here: one-at-a-time figures depend on where they ran."]),
  ...(acceptNoise ? ["Noise was accepted: these figures are a hint, no measurement."] : []),
  ...(isNoisy ? ["REFUSED: too few quiet rounds; run it again on a quiet machine."] : []),
  ...(isPadded
    ? ["REFUSED: the floor may be padded; mend raw or the server under test, or take the figures of the targets anew."]
    : []),
  ...(stacks.includes("sdk-2.4") && stacks.includes("raw")
    ? []
    : ["The floor was not checked: it takes raw and sdk-2.4."])
]
process.stdout.write(`${lines.join("\n")}\n`)
// Noise moves the floor too: with noise accepted, a low ratio is told and proves nothing.
process.exitCode = isPadded && !acceptNoise ? 3 : isNoisy ? 2 : check && isOver ? 1 : 0
