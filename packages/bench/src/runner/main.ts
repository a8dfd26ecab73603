/** `npm run bench`: measures, prints tables, writes JSON. See README.md. */
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, loadavg } from "node:os"
import { dirname } from "node:path"
import { parseArgs } from "node:util"
import { quickStacks, type StackName, stackNames, type WorkloadName, workloadNames, workloads } from "../plan.ts"
import { canKeepApart, type Settings } from "./process.ts"
import { report, text } from "./report.ts"
import { runAll } from "./rounds.ts"
import { inPackage, versions } from "./versions.ts"

const { values } = parseArgs({
  options: {
    workload: { type: "string", multiple: true },
    stack: { type: "string", multiple: true },
    rounds: { type: "string" },
    quick: { type: "boolean", default: false },
    "accept-noise": { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    measure: { type: "string" },
    cycles: { type: "string" },
    json: { type: "string" },
    profile: { type: "string" }
  }
})

const chosen = <A extends string>(
  known: ReadonlyArray<A>,
  given: ReadonlyArray<string> | undefined,
  otherwise: ReadonlyArray<A>
): ReadonlyArray<A> => {
  const names = given?.flatMap((list) => list.split(","))
  if (names === undefined) return otherwise
  const strange = names.filter((name) => !(known as ReadonlyArray<string>).includes(name))
  if (strange.length > 0) throw new Error(`no such name: ${strange.join(", ")}; known are ${known.join(", ")}`)
  return known.filter((name) => names.includes(name))
}

const { quick } = values
const measureMillis = Number(values.measure ?? (quick ? 250 : 1000))
const settings: Settings = {
  measureMillis,
  warmMillis: quick ? 250 : Math.min(600, measureMillis),
  cycles: Number(values.cycles ?? 2000),
  profile: values.profile
}
const stackList: ReadonlyArray<StackName> = chosen(stackNames, values.stack, quick ? quickStacks : stackNames)
const workloadList: ReadonlyArray<WorkloadName> = chosen(
  workloadNames,
  values.workload,
  quick ? workloadNames.filter((name) => workloads[name].quick === true) : workloadNames
)
const rounds = Number(values.rounds ?? (quick ? 3 : 5))
// A machine of a CI is never quiet, and the short form is about ratios only.
const acceptNoise = values["accept-noise"] || quick

const measured = versions()
const load = loadavg()[0]!
if (load > availableParallelism() * 0.25) {
  process.stderr.write(`The machine is busy already (load ${load.toFixed(2)}): expect refused rounds.\n`)
}

const startedAt = new Date()
const results = await runAll({
  ...settings,
  stacks: stackList,
  workloads: workloadList,
  rounds,
  acceptNoise,
  tell: (line) => process.stderr.write(`${line}\n`)
})
const reports = report(results, stackList, rounds)
const isNoisy = reports.some(({ quietRounds, roundsWanted }) => quietRounds < roundsWanted)
const isPadded = reports.some(({ padded }) => padded !== undefined)
const isOver = reports.some(({ metrics }) => metrics.some(({ rows }) => rows.some(({ verdict }) => verdict === "over")))

const path = values.json ?? inPackage("results/latest.json")
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
  ...(stackList.includes("sdk-2.4") && stackList.includes("raw")
    ? []
    : ["The floor was not checked: it takes raw and sdk-2.4."])
]
process.stdout.write(`${lines.join("\n")}\n`)
// Noise moves the floor too: with noise accepted, a low ratio is told and proves nothing.
process.exitCode = isPadded && !acceptNoise ? 3 : isNoisy ? 2 : values.check && isOver ? 1 : 0
