/** P5–P7, and S6 on a terminal: what becomes of the program that has the connection. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import type { Name } from "./program.ts"
import { must, type Row, rowsAlone } from "./Row.ts"
import type { Subject } from "./Subject.ts"

const program = fileURLToPath(new URL("program.ts", import.meta.url))

const run = (subject: Subject, name: Name) =>
  Effect.callback<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resume) => {
    const child = execFile(
      process.execPath,
      ["--conditions=@scoped-mcp/source", program, name, subject.name],
      (error, stdout, stderr) => resume(Effect.succeed({ code: error?.code ?? 0, stdout, stderr }))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const S6: Row = {
  holds: "S6 what a server writes to stderr is not on that of the program",
  sdk: "it is there",
  run: Effect.fnUntraced(function* (subject) {
    const { code, stderr } = yield* run(subject, "a server that writes to stderr")
    yield* must(!stderr.includes("eeeeeeeeee"), "it is there")
    yield* must(code === 0, stderr)
  })
}

const P5: Row = {
  holds: "P5 a program outlives a transport that fails to close",
  sdk: "it dies of an unhandled rejection",
  run: Effect.fnUntraced(function* (subject) {
    const { code, stderr } = yield* run(subject, "a transport that fails to close")
    yield* must(code === 0, stderr.includes("the transport is broken") ? "it dies of an unhandled rejection" : stderr)
  })
}

const P6: Row = {
  holds: "P6 a program outlives a listener that throws",
  sdk: "it dies of an unhandled rejection",
  run: Effect.fnUntraced(function* (subject) {
    const { code, stderr } = yield* run(subject, "a listener that throws")
    yield* must(code === 0, stderr.includes("the listener is broken") ? "it dies of an unhandled rejection" : stderr)
  })
}

const P7: Row = {
  holds: "P7 nothing is written on the stdout of the program",
  sdk: "a line is written there",
  run: Effect.fnUntraced(function* (subject) {
    const { code, stderr, stdout } = yield* run(subject, "a list that is not offered")
    yield* must(stdout === "", "a line is written there")
    yield* must(code === 0, stderr)
  })
}

rowsAlone(S6, P5, P6, P7)
