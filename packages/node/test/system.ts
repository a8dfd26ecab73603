/** What the tests know of the system: read by a process of its own, and never asked of what is under test. */
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { ProcessOwner } from "@scoped-mcp/core"
import { Clock, Deferred, Duration, Effect, Schedule } from "effect"

export const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

const realTime = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

export interface Seen {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly state: string
  readonly command: string
}

/** Put into the environment of servers; all that they start inherits it. */
export const makeTag = () => `tag-${randomUUID()}`

const look = (
  tag: string,
  known: ReadonlyArray<Seen> = []
): Effect.Effect<{ readonly alive: ReadonlyArray<Seen>; readonly zombies: ReadonlyArray<Seen> }> =>
  Effect.callback((resume) => {
    const args = [fixture("census.mjs"), tag, process.pid, ...known.map(({ pid }) => pid)].map(String)
    execFile(process.execPath, args, (error, stdout) =>
      resume(error === null ? Effect.sync(() => JSON.parse(stdout)) : Effect.die(error))
    )
  })

/** Everything alive that carries the tag or stems from what does, and those that were known before. */
export const alive = (tag: string, known?: ReadonlyArray<Seen>) => Effect.map(look(tag, known), (seen) => seen.alive)

/** Children of the test's own process that ended and were not collected. */
export const zombies = Effect.map(look("no process carries this"), (seen) => seen.zombies)

/** Looks again until it holds, for 15 seconds of real time at most. */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  holds: (value: A) => boolean,
  limit = "15 seconds" as Duration.Input
) => {
  let last: A | undefined
  return look.pipe(
    Effect.tap((value) => Effect.sync(() => (last = value))),
    Effect.repeat({ until: holds, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.die(
          new Error(`still not so after ${Duration.format(Duration.fromInputUnsafe(limit))}: ${JSON.stringify(last)}`)
        )
    }),
    realTime
  )
}

/** Milliseconds of real time that the effect takes, and its result. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (value) => ({ value, millis: performance.now() - start }))
  })

/** Open files of this process, sockets and pipes included. */
export const openFiles = Effect.sync(() => readdirSync("/proc/self/fd").length)

export interface Server {
  readonly manners?: ReadonlyArray<string>
  readonly tag: string
  readonly stopTimeout?: Duration.Input
}

/** The command that runs `fixtures/server.mjs`. */
export const command = ({ manners = [], stopTimeout = "5 seconds", tag }: Server): ProcessOwner.ProcessCommand => ({
  command: process.execPath,
  args: [fixture("server.mjs"), ...manners],
  env: { TAG: tag },
  inheritEnv: "minimal",
  cwd: undefined,
  stopTimeout: Duration.fromInputUnsafe(stopTimeout)
})

/** A process and what it has said; `heard` waits for a text on one of its outputs. */
export const spawn = Effect.fnUntraced(function* (command: ProcessOwner.ProcessCommand) {
  const owner = yield* ProcessOwner.ProcessOwner
  const exited = yield* Deferred.make<ProcessOwner.ProcessExit>()
  const stdout: Array<string> = []
  const stderr: Array<string> = []
  let drained = 0
  let exits = 0
  const process = yield* owner.spawn(command, {
    onStdout: (chunk) => stdout.push(Buffer.from(chunk).toString()),
    onStderr: (chunk) => stderr.push(Buffer.from(chunk).toString()),
    onDrain: () => drained++,
    onExit: (exit) => {
      exits++
      Deferred.doneUnsafe(exited, Effect.succeed(exit))
    }
  })
  const heard = (text: string) =>
    eventually(
      Effect.sync(() => stdout.join("") + stderr.join("")),
      (all) => all.includes(text)
    )
  return {
    ...process,
    exited: Deferred.await(exited),
    stdout,
    stderr,
    heard,
    drained: () => drained,
    exits: () => exits
  }
})

/** The same, started up: its handlers are in place. */
export const spawnServer = Effect.fnUntraced(function* (server: Server) {
  const process = yield* spawn(command(server))
  yield* process.heard("started")
  return process
})
