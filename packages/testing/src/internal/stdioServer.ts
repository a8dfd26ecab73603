/** A scripted server as the process it runs in: one JSON message per line, and everything a process can do wrong. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { Process } from "../Fault.ts"
import * as Fault from "../Fault.ts"
import * as Journal from "../Journal.ts"
import type { Definition } from "../ScriptedServer.ts"
import * as FileRecorder from "./fileRecorder.ts"
import { parse } from "./frames.ts"
import * as Helper from "./helper.ts"
import * as ServerState from "./ServerState.ts"
import * as Session from "./Session.ts"
import * as wireFaults from "./wireFaults.ts"

/** What earlier processes of the same journal have left: how many there were, and whether the server is down. */
const recall = (state: ServerState.ServerState<Process>) =>
  Effect.map(state.journal.entries, (entries) => {
    state.connections = entries.filter((entry) => entry._tag === "ProcessStarted").length
    const down = ServerState.find(state.faults, "Flapping")?.down
    const flapped = entries.findLast((entry) => entry._tag === "FaultStruck" && entry.fault.startsWith("Flapping"))
    if (down !== undefined && flapped !== undefined) state.downUntil = flapped.at + Duration.toMillis(down)
  })

export const run = Effect.fnUntraced(function* (
  definition: Definition,
  declared: ReadonlyArray<Process>,
  path: string | undefined
) {
  const journal = path === undefined ? Journal.makeUnsafe() : FileRecorder.make(path)
  const state = ServerState.make(definition, declared, journal)
  yield* recall(state)
  const faults = ServerState.connect(state)
  const has = <const Tag extends Process["_tag"]>(tag: Tag) => ServerState.find(faults, tag)
  const session = `${definition.name}-${process.pid}`
  const strike = (fault: Process) => journal.record({ _tag: "FaultStruck", session, fault: Fault.print(fault) })
  const scope = yield* Scope.make()
  const { pid } = process

  yield* journal.record({ _tag: "ProcessStarted", pid })
  const exit = (why: string, code: number) =>
    Scope.close(scope, Exit.void).pipe(
      Effect.andThen(journal.record({ _tag: "ProcessEnded", pid, why })),
      Effect.andThen(Effect.sync(() => process.exit(code)))
    )
  if (yield* ServerState.isDown(state)) return yield* exit("the server is down", 1)

  process.on("SIGTERM", () => {
    if (has("IgnoreTerm") === undefined) Effect.runFork(exit("SIGTERM", 143))
  })

  /** Resolves when the pipe takes more, so that nothing piles up here. */
  const write = (stream: NodeJS.WriteStream, chunk: string | Uint8Array): Effect.Effect<void> =>
    Effect.callback((resume) => {
      stream.write(chunk, () => resume(Effect.void))
    })

  const split = has("SplitFrames")
  const writeFrame = (text: string): Effect.Effect<void> => {
    if (split === undefined) return write(process.stdout, text)
    const bytes = new TextEncoder().encode(text)
    const pieces = Array.from({ length: Math.ceil(bytes.length / split.bytes) }, (_, index) =>
      bytes.subarray(index * split.bytes, (index + 1) * split.bytes)
    )
    return Effect.forEach(pieces, (piece) => write(process.stdout, piece), { discard: true })
  }

  const noise = has("StdoutNoise")
  const makeNoise = Effect.suspend(() =>
    noise === undefined ? Effect.void : write(process.stdout, `${noise.lines.join("\n")}\n`)
  )
  const flood = has("StderrFlood")

  const line: Session.Line = {
    send: Effect.fnUntraced(function* (frame) {
      yield* makeNoise
      if (flood !== undefined && frame["id"] !== undefined) {
        yield* Effect.andThen(strike(flood), write(process.stderr, `${"e".repeat(flood.bytes)}\n`))
      }
      yield* writeFrame(`${JSON.stringify(frame)}\n`)
    }),
    sendText: (text, _related, end) => writeFrame(end ? `${text}\n` : text),
    cut: ({ exitCode, signal }) =>
      signal === undefined
        ? Effect.andThen(
            journal.record({ _tag: "ProcessEnded", pid, why: `exit ${exitCode ?? 1}` }),
            Effect.sync(() => process.exit(exitCode ?? 1))
          )
        : Effect.andThen(
            journal.record({ _tag: "ProcessEnded", pid, why: signal }),
            Effect.sync(() => {
              process.removeAllListeners(signal)
              process.kill(pid, signal)
            })
          )
  }

  for (const fault of faults) {
    if (fault._tag !== "Helpers") continue
    yield* journal.record({ _tag: "HelperStarted", pid: yield* Helper.start(fault.how), how: fault.how })
  }

  const echo = has("EchoEnvironment")
  const quoted = echo?.names.map((name) => `${name}=${process.env[name] ?? ""}`).join(" ")
  if (quoted !== undefined) yield* write(process.stderr, `${quoted}\n`)
  yield* makeNoise

  const frozen = has("Frozen")
  const stopReading = has("StopReading")
  const inbound = yield* Queue.unbounded<string>()
  const ended = Symbol("end of input")
  let rest = ""
  let lines = 0
  const onEnd = () => {
    if (has("IgnoreEndOfInput") === undefined) Effect.runFork(exit("end of input", 0))
    // Something must keep the process alive, now that its input does not.
    else setInterval(() => ended, 3_600_000)
  }

  const reader = yield* Effect.gen(function* () {
    const options = {
      id: session,
      faults: faults.filter(wireFaults.isCommon),
      counters: { frames: 0, calls: 0 },
      quoted: () => quoted
    }
    const it = yield* Session.make(state, line, options)
    return yield* Effect.forever(
      Effect.flatMap(Queue.take(inbound), (text) => {
        const frame = parse(text)
        return frame === undefined ? Effect.void : it.receive(frame)
      })
    )
  }).pipe(Effect.forkIn(scope), Scope.provide(scope))

  process.stdin
    .setEncoding("utf8")
    .on("data", (chunk: string) => {
      const parts = `${rest}${chunk}`.split("\n")
      rest = parts.pop() ?? ""
      for (const part of parts) {
        lines++
        if (lines === frozen?.at) process.kill(pid, "SIGSTOP")
        if (stopReading === undefined || lines <= stopReading.after) Queue.offerUnsafe(inbound, part)
        else process.stdin.pause()
      }
    })
    .on("end", onEnd)
  return reader
})
