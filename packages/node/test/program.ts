/** A fixture that runs as a process of its own and is spoken to in lines. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { Deferred, Effect, Queue } from "effect"
import { fixture } from "./system.ts"

export const start = Effect.fnUntraced(function* (name: string, settings: unknown) {
  const said = yield* Queue.unbounded<string>()
  const ended = Deferred.makeUnsafe<number | null>()
  const output = { stderr: "" }
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [
        "--conditions=@scoped-mcp/source",
        fixture(name),
        JSON.stringify(settings)
      ])
      createInterface({ input: child.stdout }).on("line", (line) => Queue.offerUnsafe(said, line))
      child.stderr.on("data", (chunk) => (output.stderr += String(chunk)))
      child.once("close", (code) => Deferred.doneUnsafe(ended, Effect.succeed(code)))
      return child
    }),
    (child) =>
      Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        Deferred.await(ended)
      )
  )
  return {
    line: Queue.take(said),
    tell: (text: string) => Effect.sync(() => child.stdin.write(`${text}\n`)),
    kill: Effect.andThen(
      Effect.sync(() => child.kill("SIGKILL")),
      Deferred.await(ended)
    ),
    ended: Deferred.await(ended),
    output
  }
})
