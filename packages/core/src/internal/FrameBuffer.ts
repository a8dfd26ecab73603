/**
 * Gathers the pieces of one frame at a time and joins them once. A frame over the limit is not kept; its first and last
 * bytes are, so that the request it answers can be found.
 */
import { concat } from "./bytes.ts"

/** Bytes kept of each end of a frame that is too long. */
export const kept = 4096

/** A frame of so many times the limit is taken for one that never ends, and with it everything that comes after it. */
export const endless = 8

export interface OversizeListener {
  /** The frame has just grown over the limit; `head` is its beginning. */
  readonly onOversize: (head: Uint8Array) => void
  /** The frame that was too long has ended; `tail` is its end. */
  readonly onOversizeEnd: (tail: Uint8Array) => void
  /** The frame that was too long has grown to {@link endless} times the limit; an end of it is not waited for. */
  readonly onEndless: () => void
}

export interface FrameBuffer {
  readonly append: (part: Uint8Array) => void
  /** The frame is complete; the next piece begins another. */
  readonly end: () => void
}

/** As many as hold {@link kept} bytes: the whole frame is not joined only to be thrown away. */
const firstParts = (parts: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  let size = 0
  let count = 0
  while (size < kept && count < parts.length) size += parts[count++]!.length
  return parts.slice(0, count)
}

/** `onFrame` gets every frame within the limit that is not empty. */
export const make = (limit: number, listener: OversizeListener, onFrame: (frame: Uint8Array) => void): FrameBuffer => {
  let parts: Array<Uint8Array> = []
  let size = 0
  let tail: Uint8Array | undefined

  return {
    append: (part) => {
      const before = size
      size += part.length
      if (tail !== undefined) {
        tail = concat([tail, part.subarray(-kept)]).slice(-kept)
      } else {
        parts.push(part)
        if (size <= limit) return
        const [first, last] = [firstParts(parts), firstParts(parts.toReversed()).toReversed()]
        parts = []
        tail = concat(last).slice(-kept)
        listener.onOversize(concat(first).slice(0, kept))
      }
      if (before <= endless * limit && size > endless * limit) listener.onEndless()
    },
    end: () => {
      if (tail !== undefined) {
        const last = tail
        tail = undefined
        size = 0
        listener.onOversizeEnd(last)
        return
      }
      const frame = parts.length === 1 ? parts[0]! : concat(parts)
      parts = []
      size = 0
      if (frame.length > 0) onFrame(frame)
    }
  }
}
