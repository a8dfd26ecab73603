/**
 * The rest of an answer whose stream ended before the result: asked for with the id of the last event, after the time
 * the server asks for.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as EventStream from "./EventStream.ts"

/** Shortest wait, whatever the server asks. */
const least = Duration.millis(250)

/** Streams in a row that may bring nothing new. */
const attempts = 3

/** Ends with nothing when the answer has come, or with what to say of it. */
export const run = (
  cursor: EventStream.Cursor,
  open: Effect.Effect<EventStream.StreamEnd>,
  isSettled: () => boolean,
  /** It was cut, and not ended by a server that wants to be asked later. */
  wasCut: boolean
): Effect.Effect<string | undefined> => {
  const once = Effect.suspend(() => {
    const before = cursor.lastEventId
    return Effect.map(open, (end) => ({ end, isNew: cursor.lastEventId !== before }))
  })
  type Outcome = Effect.Success<typeof once>
  // Cut, and nobody is there: the process that had the answer is gone.
  const isOver = ({ end }: Outcome) =>
    isSettled() || end._tag === "Refused" || end._tag === "Unauthorised" || (wasCut && end._tag === "Absent")
  const pause = wasCut && cursor.retry === undefined ? least : EventStream.asked(cursor, least)
  return Effect.sleep(pause).pipe(
    Effect.andThen(
      Effect.repeat(once, {
        schedule: Schedule.upTo(EventStream.backoff(cursor, least), { times: attempts - 1 }),
        until: (outcome) => isOver(outcome) || outcome.isNew
      })
    ),
    Effect.repeat({ until: (outcome) => isOver(outcome) || !outcome.isNew }),
    Effect.map(({ end }) =>
      isSettled() ? undefined : `the answer ended before the result, and its rest was refused: ${end.detail}`
    )
  )
}
