import { styleText } from "node:util"
/** The terminal, or the pipe, that we write to: how wide it is, whether it takes colours, and one line that can change. */
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stdio from "effect/Stdio"
import { cut } from "./text.ts"

/** What a colour says, so that nothing is coloured for its own sake. */
export type Meaning = "good" | "bad" | "warning" | "name" | "quiet" | "title"

const styles = {
  good: "green",
  bad: "red",
  warning: "yellow",
  name: "cyan",
  quiet: "dim",
  title: "bold"
} as const

export type Channel = "stdout" | "stderr"

export class Screen extends Context.Service<
  Screen,
  {
    /** Cells of a line; on a pipe there is no end. */
    readonly columns: (channel: Channel) => number
    readonly paint: (meaning: Meaning, text: string, channel?: Channel) => string
    /** A line, or several, on stdout. */
    readonly print: (text: string) => Effect.Effect<void>
    /** The same on stderr: errors, progress, logs. */
    readonly note: (text: string) => Effect.Effect<void>
    /** Shows a text that the next one replaces; on a pipe, nothing. Synchronous, because progress is told so. */
    readonly live: (text: string, channel: Channel) => void
  }
>()("@scoped-mcp/cli/Screen") {}

const eraseLine = "\r\u001B[2K"

const make = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const watched = { stdout: yield* stdio.stdoutIsTerminal, stderr: yield* stdio.stderrIsTerminal }
  const plain = Boolean(process.env["NO_COLOR"]) || process.env["TERM"] === "dumb"
  const colours = { stdout: canColor, stderr: watched.stderr && !plain }
  let shown: Channel | undefined

  const clear = () => {
    if (shown !== undefined) process[shown].write(eraseLine)
    shown = undefined
  }
  // The console takes no harm from a reader that has gone, as in `scoped-mcp tools | head`.
  const write = (channel: Channel) => (text: string) =>
    Effect.andThen(Effect.sync(clear), channel === "stdout" ? Console.log(text) : Console.error(text))
  const columns = (channel: Channel) => (watched[channel] ? process[channel].columns || 80 : Number.POSITIVE_INFINITY)

  // A line that is still shown when we end would stay there half read.
  yield* Effect.addFinalizer(() => Effect.sync(clear))

  return Screen.of({
    columns,
    paint: (meaning, text, channel = "stdout") =>
      colours[channel] ? styleText(styles[meaning], text, { validateStream: false }) : text,
    print: write("stdout"),
    note: write("stderr"),
    live: (text, channel) => {
      if (!watched[channel]) return
      clear()
      process[channel].write(cut(text, columns(channel) - 1))
      shown = channel
    }
  })
})

export const layer: Layer.Layer<Screen, never, Stdio.Stdio> = Layer.effect(Screen, make)
