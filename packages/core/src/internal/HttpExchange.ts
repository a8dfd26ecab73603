/**
 * One POST and everything that answers it: a document, or a stream of events, and the rest of the stream elsewhere if it
 * is cut. Ends exactly once: with `onDone`, with `onFault`, or silently when it is aborted.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { concat, decode } from "./bytes.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"
import * as EventStream from "./EventStream.ts"
import { isUnasked } from "./frames.ts"
import { type HttpFault, speaksForItself } from "./HttpFault.ts"
import type { Headers } from "./httpHeaders.ts"
import * as HttpResume from "./HttpResume.ts"
import type { Run, Send } from "./HttpSend.ts"

/** Longest time that a body is read on whose content nobody waits for. */
const grace = Duration.toMillis(Duration.seconds(2))

/** Longest time that a server may take to accept what is not answered here: a server that never does must not fill us. */
const acceptance = Duration.toMillis(Duration.seconds(30))

/** Bytes of a refusal that are read. */
const refusalLimit = 64 * 1024

/** What all exchanges of one line share. */
export interface HttpLine {
  readonly send: Send
  readonly wheel: DeadlineWheelService
  readonly run: Run
  /** Largest message that is accepted. */
  readonly limit: number
  /** Ends what runs, when the line ends. */
  readonly running: Set<() => void>
  /** The rest of an answer, after the event that the cursor names; where messages are answered at all. */
  readonly rest:
    | ((
        cursor: EventStream.Cursor,
        reader: EventStream.EventReader,
        isDone: () => boolean
      ) => Effect.Effect<EventStream.StreamEnd>)
    | undefined
  /** What is no message, or too long to be read and answers nothing. */
  readonly noise: (text: string) => void
}

export interface ExchangeListener {
  /** From here on the server may have read it; with false it has refused to. */
  readonly onHanded: (handed: boolean) => void
  /** The server takes it. */
  readonly onAccepted?: (header: (name: string) => string | undefined) => void
  /** A message as JSON. */
  readonly onText: (text: string) => void
  /** Nothing more is waited for; a notification never waits. */
  readonly isSettled: () => boolean
  /** Its answer comes on another stream, and the server may accept it only then. */
  readonly isWaitedFor?: () => boolean
  readonly onDone: () => void
  readonly onFault: (fault: HttpFault) => void
  /** Whether the body of a refusal is of use. */
  readonly reads: (status: number, contentType: string) => boolean
}

/** Starts it and returns what aborts it. */
export const start = (
  line: HttpLine,
  url: URL,
  headers: Headers,
  body: string,
  listener: ExchangeListener
): (() => void) => {
  let over = false
  let accepted = false
  let parts: Array<Uint8Array> = []
  let size = 0
  let refused: { readonly status: number; readonly header: (name: string) => string | undefined } | undefined
  let cursor: EventStream.Cursor | undefined
  let reader: EventStream.EventReader | undefined
  let events: ((chunk: Uint8Array) => void) | undefined
  let disarm: (() => void) | undefined
  let lingers = false

  // Before the request is sent, which may fail at once.
  let abort = () => {}
  const close = () => {
    over = true
    line.running.delete(stop)
    disarm?.()
  }
  const arm = (millis: number, expire: () => void) => {
    disarm?.()
    disarm = line.wheel.after(millis, { expire })
  }
  const stop = () => {
    if (over) return
    close()
    abort()
  }
  const done = () => {
    close()
    listener.onDone()
  }
  /** Nobody reads the rest, which may never end. */
  const fault = (fault: HttpFault) => {
    stop()
    listener.onFault(fault)
  }
  /** The answer is there; the server may end the exchange itself, which keeps the socket, but not take its time. */
  const linger = () => {
    if (lingers) return
    lingers = true
    arm(grace, () => {
      stop()
      listener.onDone()
    })
  }
  const awaitAcceptance = () =>
    arm(acceptance, () => {
      if (listener.isWaitedFor?.() === true) return awaitAcceptance()
      const detail = "the server does not accept what it is sent"
      fault({ _tag: "Lost", detail, delivery: "OutcomeUnknown" })
    })

  const makeReader = (): EventStream.EventReader => ({
    onText: (text) => {
      if (over) return
      listener.onText(text)
      if (!over && listener.isSettled()) linger()
    },
    onOversize: (head) => {
      // A notification can be done without; anything else is taken for the answer, and its end is not waited for.
      if (listener.isSettled() || isUnasked(head)) line.noise(head)
      else fault({ _tag: "TooLarge" })
    },
    onOversizeEnd: () => {},
    onEndless: () => {
      if (!over) fault({ _tag: "TooLarge" })
    }
  })

  /** The stream is gone; that the answer is not there yet may be made up for. */
  const lost = (detail: string, delivery: "NotSent" | "OutcomeUnknown", wasCut: boolean) => {
    if (accepted && listener.isSettled()) return done()
    if (cursor?.lastEventId === undefined || reader === undefined || line.rest === undefined)
      return fault({ _tag: "Lost", detail, delivery })
    const resumed = HttpResume.run(cursor, line.rest(cursor, reader, listener.isSettled), listener.isSettled, wasCut)
    const fiber = line.run(resumed)
    abort = () => fiber.interruptUnsafe()
    fiber.addObserver((exit) => {
      if (over) return
      if (exit._tag === "Success" && exit.value === undefined) done()
      else fault({ _tag: "Lost", detail: exit._tag === "Success" ? exit.value! : detail, delivery: "OutcomeUnknown" })
    })
  }

  const refusal = () => {
    const body = parts.length === 0 ? undefined : decode(concat(parts))
    fault({ _tag: "Status", ...refused!, body })
  }

  line.running.add(stop)
  if (listener.isSettled()) awaitAcceptance()
  abort = line.send(
    { method: "POST", url, headers, body },
    {
      onHanded: listener.onHanded,
      onUnauthorised: (error) => fault({ _tag: "Unauthorised", error }),
      onResponse: (status, header) => {
        const type = header("content-type") ?? ""
        const kind = type.toLowerCase()
        if (status < 200 || status >= 300) {
          refused = { status, header }
          if (speaksForItself(status, header) || !listener.reads(status, kind)) return refusal()
          return arm(grace, refusal)
        }
        accepted = true
        listener.onAccepted?.(header)
        if (over) return
        if (listener.isSettled()) linger()
        else if (kind.startsWith("text/event-stream")) {
          cursor = EventStream.cursor()
          reader = makeReader()
          events = EventStream.reader(line.limit, cursor, reader)
        } else if (!kind.startsWith("application/json")) fault({ _tag: "ContentType", type })
      },
      onData: (chunk) => {
        if (over) return
        if (events !== undefined) return events(chunk)
        size += chunk.length
        if (refused !== undefined) {
          if (size > refusalLimit) refusal()
          else parts.push(chunk)
        } else if (listener.isSettled()) {
          if (size > refusalLimit) {
            stop()
            listener.onDone()
          }
        } else if (size > line.limit) fault({ _tag: "TooLarge" })
        else parts.push(chunk)
      },
      onEnd: () => {
        if (over) return
        if (refused !== undefined) return refusal()
        if (events === undefined && parts.length > 0) listener.onText(decode(concat(parts)))
        parts = []
        if (!over) lost("the answer ended before the result", "OutcomeUnknown", false)
      },
      onFailure: ({ delivery, detail }) => {
        if (over) return
        if (refused !== undefined) refusal()
        else lost(detail, delivery, true)
      }
    }
  )
  return stop
}
