/** Keeps the last bytes of a stream and gives its last lines as text, without those of a stack. */
import { concat, decode } from "./bytes.ts"

const limit = 64 * 1024

/** A line of a stack as Node.js prints it; more of them than we show come after the error that they belong to. */
const stackLine = /^at .*:\d+:\d+\)?( \{)?$/

export interface StderrTail {
  readonly push: (chunk: Uint8Array) => void
  /** The last `lines` lines that say something, joined by " | ". */
  readonly text: (lines: number) => string
}

export const make = (): StderrTail => {
  let parts: Array<Uint8Array> = []
  let size = 0
  return {
    push: (chunk) => {
      parts.push(chunk.length > limit ? chunk.slice(-limit) : chunk.slice())
      size += chunk.length
      // Joined at twice the limit only, so that a flood costs a copy per 64 KiB and not one per chunk.
      if (size > 2 * limit || parts.length > 1024) {
        const joined = concat(parts).slice(-limit)
        parts = [joined]
        size = joined.length
      }
    },
    text: (lines) =>
      decode(concat(parts).slice(-limit))
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "" && !stackLine.test(line))
        .slice(-lines)
        .join(" | ")
  }
}
