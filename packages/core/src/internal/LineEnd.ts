/** The end of a wire, which comes once and is told to the engine in the same turn, and who listens until then. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Reason } from "../McpError.ts"
import type { FrameReceiver, WireClosed } from "../Wire.ts"

const nobody: FrameReceiver = { onFrame: () => false, onTooLarge: () => false, onClosed: () => {} }

export interface LineEnd {
  readonly receiver: () => FrameReceiver
  readonly listen: (to: FrameReceiver) => void
  /** False when it had ended before. `found` settles the request that met the end, in words of its own. */
  readonly end: (detail: string, found?: () => void) => boolean
  readonly isClosed: () => boolean
  readonly closed: Effect.Effect<WireClosed>
}

export const make = (lost: (detail: string, delivery: "NotSent" | "OutcomeUnknown") => Reason): LineEnd => {
  const deferred = Deferred.makeUnsafe<WireClosed>()
  let receiver = nobody
  let why: WireClosed | undefined
  return {
    receiver: () => receiver,
    listen: (to) => {
      receiver = to
      if (why !== undefined) to.onClosed(why)
    },
    end: (detail, found) => {
      if (why !== undefined) return false
      why = { detail, toReason: (delivery) => lost(detail, delivery) }
      Deferred.doneUnsafe(deferred, Effect.succeed(why))
      found?.()
      receiver.onClosed(why)
      return true
    },
    isClosed: () => why !== undefined,
    closed: Deferred.await(deferred)
  }
}
