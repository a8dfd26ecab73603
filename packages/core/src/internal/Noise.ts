/** What came over a line that is no message: how much, and the first of it. */
import type { Scrub } from "./redaction.ts"

const kept = 5
const length = 200

export interface Noise {
  readonly heard: (text: string) => void
  readonly count: () => number
  readonly first: ReadonlyArray<string>
}

export const make = (scrub: Scrub): Noise => {
  const first: Array<string> = []
  let count = 0
  return {
    heard: (text) => {
      count++
      if (first.length < kept) first.push(scrub(text).slice(0, length).trim())
    },
    count: () => count,
    first
  }
}
