/**
 * A child process that runs one query at a time and dies with its scope, whatever
 * it is doing.
 */
import { extname } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Reason, TooLarge, Unavailable } from "../SqlError.ts"
import { type Request, Response, type Rows, type Settings } from "./protocol.ts"

export interface QueryProcess {
  /**
   * Sends a request and awaits its answer, rows or why there are none. When this
   * fails or is interrupted the process is of no further use: close its scope.
   */
  readonly run: (request: Request) => Effect.Effect<Rows | Reason, TooLarge | Unavailable>
  /** Completes when the process has ended. */
  readonly ended: Effect.Effect<void>
}

const decodeLine = Schema.decodeUnknownEffect(Schema.fromJsonString(Response))

const encoder = new TextEncoder()

// The module beside this one: a `.ts` file in the sources, a `.js` file once built.
const script = fileURLToPath(new URL(`./sqliteProcess${extname(import.meta.url)}`, import.meta.url))

const outOfTurn = new Unavailable({ detail: "its process answered out of turn" })

/** Starts a process and waits until it has opened the file, at most 10 seconds. */
export const make = Effect.fnUntraced(
  function* (settings: Settings) {
    const requests = yield* Queue.unbounded<Uint8Array>()
    const responses = yield* Queue.unbounded<Response, Unavailable>()
    const child = yield* ChildProcess.make(process.execPath, [script, JSON.stringify(settings)], {
      // Nothing of our environment is its business, and it starts no process of its own.
      env: {},
      detached: false,
      stdin: Stream.fromQueue(requests),
      stderr: "inherit",
      killSignal: "SIGKILL"
    })
    yield* child.stdout.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) => Effect.flatMap(decodeLine(line), (response) => Queue.offer(responses, response))),
      Effect.matchEffect({
        onFailure: (error) => Queue.fail(responses, new Unavailable({ detail: error.message })),
        onSuccess: () => Queue.fail(responses, new Unavailable({ detail: "its process has ended" }))
      }),
      Effect.forkScoped
    )
    const first = yield* Queue.take(responses)
    if (first._tag === "Unavailable") return yield* first
    if (first._tag !== "Ready") return yield* outOfTurn
    const answer = Effect.gen(function* () {
      const response = yield* Queue.take(responses)
      if (response._tag === "OverMemory") {
        return yield* new TooLarge({ detail: `it needed more than ${settings.maxMemory / 1024 ** 2} MiB of memory` })
      }
      return response._tag === "Ready" ? yield* outOfTurn : response
    })
    const self: QueryProcess = {
      run: (request) => Effect.andThen(Queue.offer(requests, encoder.encode(`${JSON.stringify(request)}\n`)), answer),
      ended: Effect.asVoid(Effect.exit(child.exitCode))
    }
    return self
  },
  Effect.catchTag("PlatformError", (error) =>
    Effect.fail(new Unavailable({ detail: `its process did not start: ${error.message}` }))
  ),
  Effect.timeoutOrElse({
    duration: "10 seconds",
    orElse: () => Effect.fail(new Unavailable({ detail: "it did not open within 10 seconds" }))
  })
)
