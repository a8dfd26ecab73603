/**
 * Measures what is promised in figures, against real processes, and prints the table: `npm run figures`. It fails when a
 * median is over its limit, or something is there that must not be.
 *
 * `--busy` keeps two processors busy meanwhile; `--rounds N` repeats what is judged by its median; `--only NAME` takes
 * one of closing, hosts, calls, floods, cycles.
 */
import { spawn } from "node:child_process"
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import { Effect, Logger } from "effect"
import { runMain } from "../../src/runMain.ts"
import { calls } from "./calls.ts"
import { closing } from "./closing.ts"
import { type Figure, print, summarise } from "./Figure.ts"
import { hosts } from "./hosts.ts"
import { cyclesOverHttp, cyclesOverStdio, floods } from "./programs.ts"

const { values } = parseArgs({
  options: { busy: { type: "boolean", default: false }, rounds: { type: "string" }, only: { type: "string" } }
})
const rounds = Number(values.rounds ?? 3)

interface Scenario {
  readonly name: string
  readonly rounds: number
  readonly run: Effect.Effect<ReadonlyArray<Figure>, unknown>
}

const scenarios: ReadonlyArray<Scenario> = [
  { name: "closing", rounds, run: closing },
  { name: "hosts", rounds, run: hosts },
  { name: "calls", rounds, run: calls },
  { name: "floods", rounds: 1, run: floods },
  { name: "cycles", rounds: 1, run: cyclesOverStdio },
  { name: "cycles", rounds: 1, run: cyclesOverHttp }
]

const say = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))

/** Two processes that do nothing but work. */
const busy = Effect.acquireRelease(
  Effect.sync(() => [1, 2].map(() => spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }))),
  (workers) => Effect.sync(() => workers.forEach((worker) => worker.kill("SIGKILL")))
)

const program = Effect.gen(function* () {
  if (values.busy) yield* busy
  const chosen = scenarios.filter(({ name }) => values.only === undefined || values.only === name)
  let over = 0
  let measured = 0
  for (const { name, rounds, run } of chosen) {
    const since = performance.now()
    const figures = yield* Effect.forEach(Array.from({ length: rounds }), () => run)
    const summaries = summarise(figures.flat())
    const took = Math.round((performance.now() - since) / 1_000)
    yield* say(`${name} (${rounds} round${rounds === 1 ? "" : "s"}, ${took} s, load ${loadavg()[0]!.toFixed(1)})`)
    for (const summary of summaries) yield* say(print(summary))
    over += summaries.filter(({ holds }) => !holds).length
    measured += summaries.length
  }
  yield* say(`${measured} figures, ${over} over their limit${values.busy ? ", with two busy processors" : ""}`)
  if (over > 0 || measured === 0) yield* Effect.sync(() => (process.exitCode = 1))
}).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

runMain(program)
