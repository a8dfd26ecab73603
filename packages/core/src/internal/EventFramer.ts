/**
 * Cuts a stream of server-sent events into events, in time linear in its length. Like `LineFramer`, it keeps the two
 * ends of an event over the limit, which a parser that joins text would not.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
import { decode } from "./bytes.ts"
import * as FrameBuffer from "./FrameBuffer.ts"

/** The fields of one event; `data` is missing where there is nothing to deliver. */
export interface ServerEvent {
  readonly event: string
  readonly data: string | undefined
  readonly id: string | undefined
  /** Milliseconds. */
  readonly retry: number | undefined
}

export interface EventListener {
  readonly onEvent: (event: ServerEvent) => void
  /** What was kept of the data of an event over the limit. */
  readonly onOversize: (head: string) => void
  readonly onOversizeEnd: (tail: string) => void
  readonly onEndless: () => void
}

const lf = 0x0a
const cr = 0x0d

const valueOf = (line: string, colon: number): string =>
  colon === -1 ? "" : line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1)

const lines = (text: string): ReadonlyArray<string> => text.split(/\r\n|\n|\r/)

const parse = (text: string): ServerEvent => {
  let event = "message"
  let data: string | undefined
  let id: string | undefined
  let retry: number | undefined
  for (const line of lines(text)) {
    const colon = line.indexOf(":")
    const value = valueOf(line, colon)
    switch (colon === -1 ? line : line.slice(0, colon)) {
      case "data":
        data = data === undefined ? value : `${data}\n${value}`
        break
      case "event":
        if (value !== "") event = value
        break
      case "id":
        if (!value.includes("\0")) id = value
        break
      case "retry":
        if (/^\d+$/.test(value)) retry = Number(value)
    }
  }
  return { event, data, id, retry }
}

/** The data in a piece of an event; its first line may have been cut anywhere. */
const dataIn = (piece: string, isCut: boolean): string =>
  lines(piece)
    .filter((line, index) => line.startsWith("data:") || (isCut && index === 0))
    .map((line) => (line.startsWith("data:") ? valueOf(line, 4) : line))
    .join("")

/** A reader of one stream, fed with its chunks. */
export const make = (limit: number, listener: EventListener): ((chunk: Uint8Array) => void) => {
  const event = FrameBuffer.make(
    limit,
    {
      onOversize: (head) => listener.onOversize(dataIn(decode(head), false)),
      onOversizeEnd: (tail) => listener.onOversizeEnd(dataIn(decode(tail), true)),
      onEndless: listener.onEndless
    },
    (bytes) => listener.onEvent(parse(decode(bytes)))
  )
  /** Nothing has come of the current line yet. */
  let atLineStart = true
  /** The last byte was a carriage return; a newline now belongs to it. */
  let afterReturn = false

  return (chunk) => {
    let pending = 0
    let at = 0
    // Each is searched for again only when it has been passed; of carriage returns there are hardly ever any.
    let nextLf = chunk.indexOf(lf)
    let nextCr = chunk.indexOf(cr)
    while (at < chunk.length) {
      if (afterReturn) {
        afterReturn = false
        if (chunk[at] === lf) {
          if (pending === at) pending++
          at++
          continue
        }
      }
      if (nextLf !== -1 && nextLf < at) nextLf = chunk.indexOf(lf, at)
      if (nextCr !== -1 && nextCr < at) nextCr = chunk.indexOf(cr, at)
      const end = nextLf === -1 ? nextCr : nextCr === -1 ? nextLf : Math.min(nextLf, nextCr)
      if (end === -1) break
      const isBlank = atLineStart && end === at
      afterReturn = end === nextCr
      atLineStart = true
      at = end + 1
      if (isBlank) {
        event.append(chunk.subarray(pending, end))
        event.end()
        pending = at
      }
    }
    if (at < chunk.length) atLineStart = false
    if (pending < chunk.length) event.append(chunk.subarray(pending))
  }
}
