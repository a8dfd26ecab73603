/** The progress of a long call, as the server reports it. */
import * as Effect from "effect/Effect"
import { progressBar } from "../../terminal/progressBar.ts"
import { longCall } from "../longCall.ts"
import { check, Story } from "../Story.ts"

const steps = 12
const cells = 36

export const showProgress = Effect.gen(function* () {
  const story = yield* Story
  const reports: Array<number> = []
  const result = yield* longCall({ seconds: 2, steps }, (progress) => {
    reports.push(progress.progress)
    story.live(progressBar(progress, cells))
  })
  yield* story.line("ok", progressBar({ progress: reports.at(-1) ?? 0, total: steps, message: undefined }, cells))
  const growing = reports.every((report, index) => index === 0 || report > (reports[index - 1] ?? 0))
  yield* check(
    reports.length === steps && growing,
    () => `${steps} growing reports were expected, not ${reports.join(", ")}`
  )
  yield* check(result.text.includes("completed"), () => `the end of the operation was expected, not: ${result.text}`)
  return `${reports.length} reports came in order, before the result`
})
