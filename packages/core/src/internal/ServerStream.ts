/**
 * The stream on which a server of the revisions before 2026 sends what answers no request. It is opened once the session
 * is, and again for as long as the connection lives.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#listening-for-messages-from-the-server
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { StreamStatus } from "../Wire.ts"
import * as EventStream from "./EventStream.ts"
import type { Scrub } from "./redaction.ts"

/** Shortest pause between two of these streams, whatever the server asks. */
const least = Duration.seconds(1)

const absent = new Set([404, 405, 501])

/** A stream that lasted so long, or brought a message, begins the backoff anew. */
const lasting = Duration.seconds(10)

export interface ServerStream {
  /** Keeps the stream open until interrupted, or until the server has said that there is none. */
  readonly run: Effect.Effect<void>
  readonly status: () => StreamStatus
}

export const make = (options: {
  readonly server: string
  readonly scrub: Scrub
  readonly open: (
    opening: Pick<EventStream.Opening, "cursor" | "onOpen"> & { readonly heard: () => void }
  ) => Effect.Effect<EventStream.StreamEnd>
  /** Whether this status says that the server no longer knows the session. */
  readonly isGone: (status: number) => boolean
  readonly onGone: () => void
}): ServerStream => {
  const cursor = EventStream.cursor()
  let status: StreamStatus = { state: "Absent", detail: undefined, failures: 0 }
  let wasOpen = false

  /** Whether the server will not have such a stream however often it is asked; one that was open before comes back. */
  const isFinal = (end: EventStream.StreamEnd): boolean => {
    if (end._tag === "Unauthorised") return !wasOpen
    if (end._tag !== "Refused") return false
    if (wasOpen) return options.isGone(end.status)
    return end.status !== 408 && end.status !== 425 && end.status !== 429
  }

  const told = (end: EventStream.StreamEnd): Effect.Effect<void> => {
    const detail = options.scrub(end.detail)
    if (isFinal(end)) {
      if (wasOpen) return Effect.sync(options.onGone)
      // A server without such a stream says 405; one that does not know the method at all, 404 or 501.
      if (end._tag === "Refused" && absent.has(end.status)) return Effect.void
      status = { state: "Refused", detail, failures: 0 }
      return Effect.logWarning(`"${options.server}" refuses its stream of notifications: ${detail}`)
    }
    const first = status.state !== "Reopening"
    status = { state: "Reopening", detail, failures: status.failures + 1 }
    return first
      ? Effect.logDebug(`The stream of notifications of "${options.server}" is interrupted: ${detail}`)
      : Effect.void
  }

  const once = Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let openedAt: number | undefined
    let lively = false
    const end = yield* options.open({
      cursor,
      onOpen: () => {
        openedAt = clock.currentTimeMillisUnsafe()
        wasOpen = true
        status = { state: "Open", detail: undefined, failures: status.failures }
      },
      heard: () => {
        lively = true
        status = { state: "Open", detail: undefined, failures: 0 }
      }
    })
    lively ||= openedAt !== undefined && clock.currentTimeMillisUnsafe() - openedAt >= Duration.toMillis(lasting)
    if (lively) status = { ...status, failures: 0 }
    const final = isFinal(end)
    yield* told(end)
    // What it cannot resume from it is not asked for again.
    if (end._tag === "Refused") cursor.lastEventId = undefined
    return { final, lively }
  })

  const run = once.pipe(
    Effect.repeat({
      schedule: EventStream.backoff(cursor, least),
      until: ({ final, lively }) => final || lively
    }),
    Effect.repeat({
      schedule: EventStream.paced(Schedule.forever, cursor, least),
      until: ({ final }) => final
    }),
    Effect.asVoid
  )
  return { run, status: () => status }
}
