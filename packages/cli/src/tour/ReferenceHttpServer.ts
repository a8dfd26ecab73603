import { createServer } from "node:net"
/** Starts the protocol's reference server over HTTP as a process of ours, and waits until it answers. */
import { HttpDispatcher, ProcessOwner } from "@scoped-mcp/core"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { NotSo } from "./Story.ts"

/** A port nobody listens on now. */
const freePort = Effect.callback<number, NotSo>((resume) => {
  const probe = createServer()
  probe.once("error", (error) => resume(new NotSo({ what: `no free port was found: ${error.message}` })))
  probe.listen(0, "127.0.0.1", () => {
    const address = probe.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    probe.close(() => resume(Effect.succeed(port)))
  })
})

const decoder = new TextDecoder()

/** Owned by the scope, with everything it starts. Answers its port. */
export const start = Effect.gen(function* () {
  const owner = yield* ProcessOwner.ProcessOwner
  const { fetch } = yield* HttpDispatcher.HttpDispatcher
  const port = yield* freePort
  const exited = yield* Deferred.make<never, NotSo>()
  let stderr = ""
  yield* Effect.mapError(
    owner.spawn(
      {
        command: "npx",
        args: ["--no", "mcp-server-everything", "streamableHttp"],
        env: { PORT: String(port) },
        inheritEnv: "minimal",
        cwd: undefined,
        // It does not listen to its standard input, so each close waits the first 30 % of this.
        stopTimeout: Duration.seconds(2)
      },
      {
        onStdout: () => {},
        onStderr: (chunk) => {
          stderr = (stderr + decoder.decode(chunk)).slice(-500)
        },
        onDrain: () => {},
        onExit: ({ code, signal }) => {
          const what = `the reference server over HTTP ended (${signal ?? `code ${code}`}): ${stderr.trim()}`
          Deferred.doneUnsafe(exited, new NotSo({ what }))
        }
      }
    ),
    ({ message }) => new NotSo({ what: message })
  )
  const url = `http://127.0.0.1:${port}/mcp`
  // Without a session it refuses, which is an answer as well.
  const answers = Effect.tryPromise({
    try: (signal) => fetch(url, { signal }).then((response) => response.body?.cancel()),
    catch: () => new NotSo({ what: `nothing answers on port ${port}` })
  }).pipe(
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => new NotSo({ what: `nothing answered on port ${port} within 10 s` })
    })
  )
  yield* Effect.raceFirst(answers, Deferred.await(exited))
  return port
})
