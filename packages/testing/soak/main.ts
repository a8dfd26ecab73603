/**
 * Mixed load on many faulty servers through one pool, for minutes, one pool after the other; fails when an invariant is
 * broken. `npm run soak -- --minutes N --seed S`; the README says the rest.
 */
import { parseArgs } from "node:util"
import { McpPool } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { Effect, Fiber, Layer, Logger, Schedule, Schema, Stream } from "effect"
import * as Check from "./Check.ts"
import * as Fleet from "./Fleet.ts"
import * as Load from "./Load.ts"
import * as Plan from "./Plan.ts"
import * as Report from "./Report.ts"
import * as Watch from "./Watch.ts"

const usage = "npm run soak -- [--minutes N | --seconds N] [--seed TEXT] [--only POOL]\n"

class SoakFailed extends Schema.TaggedError<SoakFailed>("SoakFailed")("SoakFailed", { findings: Schema.Finite }) {}

const print = (text: string) => Effect.sync(() => process.stderr.write(text))

const tally = Report.makeTally()
let current = Load.makeRecord()

/** Errors outside every fibre; `runMain` ends the program on them. */
const watchProcess = (seed: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const onError = (error: unknown) => {
        const detail = `an error outside every fibre: ${error instanceof Error ? error.stack : String(error)}`
        tally.broken.push({ invariant: "typed", generation: tally.generations + 1, detail })
        process.stderr.write(`broken with seed ${seed}, pool ${tally.generations + 1}: ${detail}\n`)
      }
      process.prependListener("uncaughtExceptionMonitor", onError)
      return onError
    }),
    (onError) => Effect.sync(() => process.off("uncaughtExceptionMonitor", onError))
  )

/** Errors that the pool only logs are findings, too: they are what it could not tell anyone. */
const logger = Logger.make(({ logLevel, message }) => {
  if (logLevel !== "Error" && logLevel !== "Fatal") return
  const detail = `the pool logged an error: ${JSON.stringify(message)}`
  tally.broken.push({ invariant: "typed", generation: tally.generations + 1, detail })
})

/** Longer than the longest limit: what has not ended then never will, and is found as such. */
const patience = 15_000

/** A pool that cannot be closed, or callers that cannot be interrupted, must not keep the verdict waiting. */
const stuckAfter = 90_000

const limitPool = (seed: string, startedAt: number) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      setTimeout(() => {
        const detail = `the pool has not come to its end in ${stuckAfter / 1_000} s`
        tally.broken.push({ invariant: "settled", generation: tally.generations + 1, detail })
        process.stderr.write(Report.summary(tally, seed, Watch.now() - startedAt, Check.growth(tally.heaps)))
        process.exit(1)
      }, stuckAfter).unref()
    ),
    (timer) => Effect.sync(() => clearTimeout(timer))
  )

/** Runs one pool from its opening to its close, and gives what is to be judged once it is closed. */
const runPool = Effect.fnUntraced(function* (generation: Plan.Generation, fleet: Fleet.Fleet) {
  const record = Load.makeRecord()
  current = record
  const sources = yield* Effect.forEach(generation.servers, ({ name }) =>
    Effect.map(fleet.incarnate(name), (source) => [name, source] as const)
  )
  const { closing, interruptedAt, load } = yield* Effect.gen(function* () {
    const pool = yield* McpPool.make({ ...Load.poolLimits, servers: Object.fromEntries(sources) })
    yield* Effect.forkScoped(Stream.runDrain(pool.catalogs))
    const run = Load.make(pool, fleet, record)
    const load = yield* Effect.forkDetach(
      Effect.forEach(generation.steps, (step) => Effect.delay(run(step), step.at), {
        concurrency: "unbounded",
        discard: true
      })
    )
    if (generation.ending === "Quiet") yield* Effect.timeoutOption(Fiber.join(load), generation.length + patience)
    else yield* Effect.sleep(generation.length)
    const interruptedAt = generation.ending === "Interrupted" ? Watch.now() : Infinity
    if (generation.ending === "Interrupted") yield* Fiber.interrupt(load)
    return { load, interruptedAt, closing: Watch.now() }
  }).pipe(Effect.scoped)
  const closedAt = Watch.now()
  tally.slowestClose = Math.max(tally.slowestClose, closedAt - closing)
  const leftProcesses = Watch.leftProcesses()
  // After an abrupt end: servers that were to be resumed or registered later meet a closed pool.
  yield* Effect.timeoutOption(Fiber.await(load), patience)
  return { record, closedAt, interruptedAt, leftProcesses, closing }
})

/** Compares until the sockets that were just closed are gone, or it is clear that they stay. */
const compare = (before: Watch.Holdings) =>
  Effect.sync(() => Check.surplus(before, Watch.holdings())).pipe(
    Effect.repeat({
      schedule: Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(20)]),
      until: (found) => found.length === 0
    })
  )

const runGeneration = Effect.fnUntraced(function* (seed: string, number: number, before: Watch.Holdings) {
  const generation = yield* Plan.draw(seed, number)
  const startedAt = Watch.now()
  const found = yield* Effect.gen(function* () {
    const watch = yield* Watch.make
    const fleet = yield* Fleet.make(generation)
    const { closing, ...run } = yield* runPool(generation, fleet)
    const findings = yield* Check.generation({
      ...run,
      incarnations: fleet.incarnations,
      seen: watch.seen(),
      stalled: watch.stalled
    })
    const closeAllowed = Load.poolCloseLimit + 1_500 + watch.stalled(closing, run.closedAt)
    const late: ReadonlyArray<Check.Broken> =
      run.closedAt - closing > closeAllowed
        ? [{ invariant: "settled", detail: `the close took ${Math.round(run.closedAt - closing)} ms` }]
        : []
    tally.stalled += watch.stalled(startedAt, run.closedAt)
    current = Load.makeRecord()
    Report.add(tally, run.record.operations, findings)
    return [...findings.broken, ...late]
  }).pipe(Effect.scoped)
  const left = yield* compare(before)
  tally.broken.push(...[...found, ...left].map((broken) => ({ ...broken, generation: number })))
  tally.heaps.push(yield* Watch.heap)
  tally.generations++
})

const tellEvery = 10_000

const tell = (startedAt: number, total: number) =>
  Effect.gen(function* () {
    const line = Report.progress(tally, Watch.now() - startedAt, total, current.operations)
    yield* print(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`)
  }).pipe(Effect.delay(process.stderr.isTTY ? 1_000 : tellEvery), Effect.forever)

const soak = Effect.fnUntraced(function* (seed: string, total: number, only: number | undefined) {
  const startedAt = Watch.now()
  yield* watchProcess(seed)
  yield* print(`soak for ${total / 1_000} s with seed ${seed}\n`)
  const telling = yield* Effect.forkScoped(tell(startedAt, total))
  yield* Effect.sleep("10 millis")
  const before = Watch.holdings()
  let number = only ?? 1
  do {
    yield* Effect.scoped(Effect.andThen(limitPool(seed, startedAt), runGeneration(seed, number, before)))
    if (only === undefined) number++
  } while (Watch.now() - startedAt < total)
  yield* Fiber.interrupt(telling)

  const growth = Check.growth(tally.heaps)
  tally.broken.push(...Check.grown(growth).map((broken) => ({ ...broken, generation: tally.generations })))
  const text = Report.summary(tally, seed, Watch.now() - startedAt, growth)
  yield* print(process.stderr.isTTY ? `\r\x1b[K${text}` : text)
  if (tally.broken.length > 0) return yield* new SoakFailed({ findings: tally.broken.length })
})

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string" },
    only: { type: "string" }
  }
})
const total = values.seconds === undefined ? Number(values.minutes ?? 2) * 60_000 : Number(values.seconds) * 1_000
const only = values.only === undefined ? undefined : Number(values.only)

if (!(total > 0) || (only !== undefined && !(only > 0))) {
  process.stderr.write(usage)
  process.exitCode = 2
} else {
  const program = Effect.andThen(
    Watch.markChildren,
    Effect.scoped(soak(values.seed ?? String(Date.now() % 1_000_000), total, only))
  ).pipe(Effect.provide(Layer.merge(McpNode.layer, Logger.layer([logger]))))
  runMain(program, { disableErrorReporting: true })
}
