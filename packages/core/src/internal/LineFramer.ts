/** Cuts a byte stream into lines, in time linear in its length: only new bytes are searched. */
import * as FrameBuffer from "./FrameBuffer.ts"

export interface LineListener extends FrameBuffer.OversizeListener {
  readonly onLine: (line: Uint8Array) => void
}

const newline = 0x0a

export const make = (limit: number, listener: LineListener): ((chunk: Uint8Array) => void) => {
  const line = FrameBuffer.make(limit, listener, listener.onLine)
  return (chunk) => {
    let start = 0
    for (;;) {
      const at = chunk.indexOf(newline, start)
      if (at === -1) break
      line.append(chunk.subarray(start, at))
      line.end()
      start = at + 1
    }
    if (start < chunk.length) line.append(chunk.subarray(start))
  }
}
