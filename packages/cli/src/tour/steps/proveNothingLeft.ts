/** Asks the system, not our own books, what is left of the servers. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { ProcessWatch } from "../ProcessWatch.ts"
import type { SocketWatch } from "../SocketWatch.ts"
import { check, Story } from "../Story.ts"

/** The system itself needs a moment to take down what has been closed. */
const settle = { schedule: Schedule.spaced("20 millis"), times: 50 } as const

export const proveNothingLeft = Effect.fnUntraced(function* (processes: ProcessWatch, sockets: SocketWatch) {
  const story = yield* Story
  const look = Effect.sync(() => ({ processes: processes.left(), sockets: sockets.left() }))
  const left = yield* Effect.repeat(look, {
    ...settle,
    until: (found) => found.processes.length === 0 && found.sockets.length === 0
  })
  for (const { name, pid } of left.processes) yield* story.line("bad", `process ${pid} (${name}) is alive`)
  for (const socket of left.sockets) yield* story.line("bad", `${socket} is open`)
  yield* check(
    left.processes.length === 0 && left.sockets.length === 0,
    () => `${left.processes.length} processes and ${left.sockets.length} sockets are left`
  )
  yield* story.line("ok", `processes: none of the ${processes.seen()} we saw below us is alive, none carries our mark`)
  yield* story.line("ok", `sockets: none that was not there before, none on port ${sockets.minded.join(", ")}`)
  return "nothing is left"
})
