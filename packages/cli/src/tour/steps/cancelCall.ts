/** Interrupts the fibre of a long call: the server is told, and the connection goes on. */
import { McpPool } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { startLongCall } from "../longCall.ts"
import { everything } from "../servers.ts"
import { check, seconds, Story } from "../Story.ts"

const pending = McpPool.McpPool.use((pool) =>
  pool.use(everything, (connection) =>
    Effect.map(connection.diagnostics, (seen) => ({ calls: seen.pending, instance: connection.info.instanceId }))
  )
)

export const cancelCall = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const story = yield* Story
  const call = yield* startLongCall
  const before = yield* pending
  yield* check(before.calls === 1, () => `one running call was expected, not ${before.calls}`)

  const [interrupted] = yield* Effect.timed(Fiber.interrupt(call))
  const after = yield* pending
  yield* story.line(
    "ok",
    `a call of 60 s, interrupted, ended within ${seconds(interrupted)}; ${after.calls} calls are running`
  )
  yield* check(after.calls === 0, () => "the cancelled call should be gone")

  const [took, { text }] = yield* Effect.timed(
    pool.callTool({ server: everything, tool: "echo", arguments: { message: "still here" } })
  )
  yield* story.line("ok", `the same connection answers, after ${seconds(took)}: ${text}`)
  yield* check(after.instance === before.instance, () => "the connection should be the same one")
  return "interruption is cancellation"
})
