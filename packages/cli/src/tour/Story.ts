/** Tells the tour: numbered steps, the lines of each, and whether it held. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type Meaning, Screen } from "../terminal/Screen.ts"
import { table } from "../terminal/table.ts"
import { harmless, oneLine, wrap } from "../terminal/text.ts"

/** Something that should have been so was not. */
export class NotSo extends Schema.TaggedError<NotSo>("@scoped-mcp/cli/NotSo")("NotSo", { what: Schema.String }) {
  override get message() {
    return this.what
  }
}

/** A step of the tour did not hold. */
export class StepFailed extends Schema.TaggedError<StepFailed>("@scoped-mcp/cli/StepFailed")("StepFailed", {
  number: Schema.Int,
  title: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `step ${this.number} of the tour, "${this.title}", did not hold: ${this.detail}`
  }
}

/** Fails the step unless it is so. */
export const check = (so: boolean, what: () => string): Effect.Effect<void, NotSo> =>
  so ? Effect.void : Effect.suspend(() => new NotSo({ what: what() }))

export class Story extends Context.Service<
  Story,
  {
    /** Runs a step and tells how it ended. It answers what it has shown, in one sentence. */
    readonly step: <E extends Error, R>(
      title: string,
      body: Effect.Effect<string, E, R>
    ) => Effect.Effect<void, StepFailed, R>
    readonly line: (mark: Mark, text: string) => Effect.Effect<void>
    /** Rows below the step; the last column is wrapped. */
    readonly rows: (rows: ReadonlyArray<ReadonlyArray<string>>) => Effect.Effect<void>
    /** A text that the next one replaces; on a pipe, nothing. */
    readonly live: (text: string) => void
    readonly title: (text: string) => Effect.Effect<void>
  }
>()("@scoped-mcp/cli/Story") {}

/** What stands before a line, and its colour. */
export type Mark = keyof typeof marks

const marks = {
  ok: ["✓", "good"],
  bad: ["✗", "bad"],
  off: ["–", "warning"],
  note: [" ", "quiet"]
} as const satisfies Record<string, readonly [string, Meaning]>

/** Wider, and the eye loses the line. */
const widest = 110
const indent = 4

export const seconds = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  return millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`
}

const make = Effect.gen(function* () {
  const screen = yield* Screen
  const width = () => Math.min(widest, screen.columns("stdout"))
  let steps = 0

  const marked = (margin: number, gap: number) => (mark: Mark, text: string) => {
    const [sign, meaning] = marks[mark]
    const hanging = " ".repeat(margin + 1 + gap)
    const paint = (part: string) => (mark === "note" ? screen.paint("quiet", part) : part)
    const [first = "", ...others] = wrap(harmless(text).replaceAll(/\s*\n\s*/g, " "), width() - hanging.length)
    return screen.print(
      [
        `${" ".repeat(margin)}${screen.paint(meaning, sign)}${" ".repeat(gap)}${paint(first)}`,
        ...others.map((other) => `${hanging}${paint(other)}`)
      ].join("\n")
    )
  }
  const line = marked(indent, 1)
  // Below the number of its step, so that the outcomes can be read down the margin.
  const outcome = marked(1, 2)

  return Story.of({
    line,
    title: (text) => screen.print(screen.paint("title", text)),
    live: (text) => screen.live(`${" ".repeat(indent + 2)}${text}`, "stdout"),
    rows: (rows) =>
      Effect.forEach(
        table(rows, {
          width: width(),
          indent: indent + 2,
          overflow: "wrap",
          paint: (cell, column) => (column === 0 ? screen.paint("name", cell) : cell)
        }),
        screen.print,
        { discard: true }
      ),
    step: (title, body) =>
      Effect.gen(function* () {
        const number = ++steps
        yield* screen.print(`\n${String(number).padStart(2)}  ${screen.paint("title", title)}`)
        const startedAt = yield* Clock.currentTimeMillis
        const summary = yield* Effect.tapError(body, ({ message }) => outcome("bad", message)).pipe(
          Effect.mapError(({ message }) => new StepFailed({ number, title, detail: oneLine(message) }))
        )
        const took = Duration.millis((yield* Clock.currentTimeMillis) - startedAt)
        yield* outcome("ok", `${summary} · ${seconds(took)}`)
      })
  })
})

export const layer: Layer.Layer<Story, never, Screen> = Layer.effect(Story, make)
