/** The journal of a server that is a process, written so that nothing is lost when it is killed. */
import { appendFileSync } from "node:fs"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Journal from "../Journal.ts"

export const make = (path: string): Journal.Recorder => ({
  ...Journal.fromFile(path),
  record: (fact) =>
    Effect.map(Clock.currentTimeMillis, (at) => appendFileSync(path, `${JSON.stringify({ ...fact, at })}\n`))
})
