/**
 * One GET that answers with a stream of events: the server's own stream of the revisions before 2026, or the rest of an
 * answer whose first stream was lost.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { McpError } from "../McpError.ts"
import * as EventFramer from "./EventFramer.ts"
import type { Headers } from "./httpHeaders.ts"
import type { Send } from "./HttpSend.ts"

/** Where a stream stands, and how long its server asks to be left alone before it is opened again. */
export interface Cursor {
  lastEventId: string | undefined
  /** Milliseconds. */
  retry: number | undefined
}

export const cursor = (): Cursor => ({ lastEventId: undefined, retry: undefined })

export interface EventReader {
  /** One message as JSON. */
  readonly onText: (text: string) => void
  /** Events of any other name. */
  readonly onOther?: (event: string, data: string) => void
  readonly onOversize: (head: string) => void
  readonly onOversizeEnd: (tail: string) => void
  readonly onEndless: () => void
}

/** Reads messages from chunks, and keeps the cursor. */
export const reader = (limit: number, at: Cursor, to: EventReader): ((chunk: Uint8Array) => void) =>
  EventFramer.make(limit, {
    onEvent: ({ data, event, id, retry }) => {
      if (id !== undefined) at.lastEventId = id === "" ? undefined : id
      if (retry !== undefined) at.retry = retry
      if (data === undefined || data === "") return
      if (event === "message") to.onText(data)
      else to.onOther?.(event, data)
    },
    onOversize: to.onOversize,
    onOversizeEnd: to.onOversizeEnd,
    onEndless: to.onEndless
  })

/**
 * How a stream came to its end. `Refused`: the server answers, but with no stream. `Unreachable`: something in front of it
 * says that it is not there. `Absent`: nobody takes the connection.
 */
export type StreamEnd =
  | {
      readonly _tag: "Refused"
      readonly status: number
      readonly detail: string
      readonly challenge?: string | undefined
    }
  | { readonly _tag: "Unauthorised"; readonly detail: string; readonly error: McpError }
  | { readonly _tag: "Unreachable"; readonly detail: string }
  | { readonly _tag: "Absent"; readonly detail: string }
  | { readonly _tag: "Ended"; readonly detail: string }

export interface Opening {
  readonly url: URL
  readonly send: Send
  readonly headers: Headers
  readonly limit: number
  readonly cursor: Cursor
  readonly onOpen?: (() => void) | undefined
  readonly reader: EventReader
  /** Whether enough has been read. */
  readonly isDone?: () => boolean
}

/** Reads until the end; interruption closes the stream. Never fails. */
export const open = (opening: Opening): Effect.Effect<StreamEnd> =>
  Effect.callback((resume) => {
    let abort = () => {}
    let over = false
    const end = (how: StreamEnd) => {
      if (over) return
      over = true
      abort()
      resume(Effect.succeed(how))
    }
    const endless = () => end({ _tag: "Ended", detail: "it sends an event without end" })
    const read = reader(opening.limit, opening.cursor, {
      ...opening.reader,
      onEndless: () => {
        opening.reader.onEndless()
        endless()
      }
    })
    abort = opening.send(
      { method: "GET", url: opening.url, headers: opening.headers, body: undefined },
      {
        onHanded: () => {},
        onUnauthorised: (error) => end({ _tag: "Unauthorised", detail: error.message, error }),
        onResponse: (status, header) => {
          const type = header("content-type") ?? ""
          if (status < 200 || status >= 300) {
            const how = { detail: `HTTP ${status}` }
            // It fails, or a proxy says that it is not there; only 501 is about the request.
            if (status >= 500 && status !== 501) end({ _tag: "Unreachable", ...how })
            else end({ _tag: "Refused", status, ...how, challenge: header("www-authenticate") })
          } else if (type.toLowerCase().startsWith("text/event-stream")) opening.onOpen?.()
          else end({ _tag: "Refused", status, detail: `the content type of the stream is "${type}"` })
        },
        onData: (chunk) => {
          if (over) return
          read(chunk)
          if (opening.isDone?.() === true) end({ _tag: "Ended", detail: "it is not needed any more" })
        },
        onEnd: () => end({ _tag: "Ended", detail: "the server ended it" }),
        onFailure: ({ delivery, detail }) => end({ _tag: delivery === "NotSent" ? "Absent" : "Ended", detail })
      }
    )
    if (over) abort()
    return Effect.sync(() => {
      over = true
      abort()
    })
  })

/** The wait a server asks for, or 1 s, within bounds: neither a storm nor a pause for ever, whatever it asks. */
export const asked = ({ retry }: Cursor, least: Duration.Duration): Duration.Duration =>
  Duration.clamp(retry === undefined ? Duration.seconds(1) : Duration.millis(retry), {
    minimum: least,
    maximum: Duration.minutes(1)
  })

const ceiling = Duration.seconds(30)

/** Waits as `schedule` says up to 30 s, never less than asked for, and up to a quarter longer so that clients spread. */
export const paced = <Output>(schedule: Schedule.Schedule<Output>, at: Cursor, least: Duration.Duration) =>
  Schedule.modifyDelay(schedule, ({ duration }) =>
    Effect.map(Random.next, (random) =>
      Duration.times(Duration.max(asked(at, least), Duration.min(duration, ceiling)), 1 + random / 4)
    )
  )

/** A fresh backoff. */
export const backoff = (at: Cursor, least: Duration.Duration) =>
  paced(Schedule.exponential(Duration.seconds(1)), at, least)
