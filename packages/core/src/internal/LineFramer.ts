/**
 * Cuts a byte stream into lines, in time linear in its length: only new bytes are searched, and a line is joined once.
 * A line over the limit is not kept; its first and last bytes are, so that the request it answers can be found.
 */
import { concat } from "./bytes.ts"

/** Bytes kept of each end of a line that is too long. */
export const kept = 4096

/** A line of so many times the limit is taken for one that never ends, and with it everything that comes after it. */
export const endless = 8

export interface LineListener {
  readonly onLine: (line: Uint8Array) => void
  /** The line has just grown over the limit; `head` is its beginning. */
  readonly onOversize: (head: Uint8Array) => void
  /** The line that was too long has ended; `tail` is its end. */
  readonly onOversizeEnd: (tail: Uint8Array) => void
  /** The line that was too long has grown to {@link endless} times the limit; an end of it is not waited for. */
  readonly onEndless: () => void
}

const newline = 0x0a

export const make = (limit: number, listener: LineListener): ((chunk: Uint8Array) => void) => {
  let parts: Array<Uint8Array> = []
  let size = 0
  let tail: Uint8Array | undefined

  const append = (part: Uint8Array) => {
    const before = size
    size += part.length
    if (tail !== undefined) {
      tail = concat([tail, part.subarray(-kept)]).slice(-kept)
    } else {
      parts.push(part)
      if (size <= limit) return
      const line = concat(parts)
      parts = []
      tail = line.slice(-kept)
      listener.onOversize(line.slice(0, kept))
    }
    if (before <= endless * limit && size > endless * limit) listener.onEndless()
  }

  const end = () => {
    if (tail !== undefined) {
      const last = tail
      tail = undefined
      size = 0
      listener.onOversizeEnd(last)
      return
    }
    const line = parts.length === 1 ? parts[0]! : concat(parts)
    parts = []
    size = 0
    if (line.length > 0) listener.onLine(line)
  }

  return (chunk) => {
    let start = 0
    for (;;) {
      const at = chunk.indexOf(newline, start)
      if (at === -1) break
      append(chunk.subarray(start, at))
      end()
      start = at + 1
    }
    if (start < chunk.length) append(chunk.subarray(start))
  }
}
