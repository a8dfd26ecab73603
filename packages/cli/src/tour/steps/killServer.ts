import { readFileSync } from "node:fs"
import { basename } from "node:path"
/** Kills the real process of a server in the middle of a call, the way a crash would, and goes on. */
import { McpPool } from "@scoped-mcp/core"
import { ProcessTable } from "@scoped-mcp/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { startLongCall } from "../longCall.ts"
import { everything, launcherOf } from "../servers.ts"
import { check, NotSo, seconds, Story } from "../Story.ts"

/** The program as it was called: Node.js names its main thread, which is what the process table shows, as it likes. */
const programOf = ({ name, pid }: ProcessTable.ProcessEntry) =>
  Effect.sync(() => basename(readFileSync(`/proc/${pid}/cmdline`, "utf8").split(/[\0 ]/)[0] ?? name)).pipe(
    Effect.catchDefect(() => Effect.succeed(name)) // it has just ended
  )

/** From the launcher that the pool started down to the program that speaks the protocol. */
const chainOf = Effect.fnUntraced(function* (server: string) {
  const launcher = yield* launcherOf(server)
  const chain = ProcessTable.descendants(ProcessTable.readAll(), launcher)
  const real = chain.at(-1)
  if (real === undefined || real.pid === launcher) {
    return yield* new NotSo({ what: `a server below its launcher ${launcher} was expected` })
  }
  const programs = yield* Effect.forEach(chain, programOf)
  return { real, text: chain.map(({ pid }, index) => `${programs[index]} (${pid})`).join(" → ") }
})

const isAlive = (entry: ProcessTable.ProcessEntry): boolean => {
  const now = ProcessTable.read(entry.pid)
  return now !== undefined && now.startTime === entry.startTime && !now.zombie
}

export const killServer = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const story = yield* Story
  const before = yield* chainOf(everything)
  yield* story.line("note", `everything runs behind its launcher: ${before.text}`)

  const call = yield* startLongCall
  process.kill(before.real.pid, "SIGKILL")
  yield* story.line("ok", `SIGKILL to ${before.real.pid} while a call is running on it`)

  const reason = yield* Effect.matchEffect(Fiber.join(call), {
    onFailure: (error) => Effect.succeed(error.reason),
    onSuccess: () => new NotSo({ what: "the call should have failed" })
  })
  yield* story.line("ok", `the call failed at once: ${reason._tag}, delivery ${reason.delivery}`)
  yield* story.line("note", reason.message)
  yield* check(
    reason._tag === "ConnectionLost" && reason.delivery === "OutcomeUnknown",
    () => "ConnectionLost with delivery OutcomeUnknown was expected"
  )
  yield* check(!isAlive(before.real), () => `process ${before.real.pid} is alive`)

  const [took, { text }] = yield* Effect.timed(
    pool.callTool({ server: everything, tool: "echo", arguments: { message: "back again" } })
  )
  const after = yield* chainOf(everything)
  yield* story.line("ok", `the next call simply works, after ${seconds(took)}: ${text}`)
  yield* check(after.real.pid !== before.real.pid, () => `a new process was expected, not ${after.real.pid} again`)
  return `process ${before.real.pid} is gone, ${after.real.pid} took its place`
})
