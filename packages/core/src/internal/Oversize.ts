/**
 * What becomes of a message over the limit on a line that carries the answers of many calls: it fails the call it
 * answers. If that cannot be found, nothing on the line can be trusted to be answered any more.
 */
import { answeredAtEnd, answeredAtStart } from "./frames.ts"

export interface Oversize {
  readonly onOversize: (head: string) => void
  readonly onOversizeEnd: (tail: string) => void
}

/** `fails` settles the call of an id and says whether it knows it. */
export const make = (fails: (id: number) => boolean, onUnknown: () => void): Oversize => {
  const answers = (id: number | undefined): boolean => id !== undefined && fails(id)
  let answered = false
  return {
    onOversize: (head) => {
      answered = answers(answeredAtStart(head))
    },
    onOversizeEnd: (tail) => {
      if (!answered && !answers(answeredAtEnd(tail))) onUnknown()
    }
  }
}
