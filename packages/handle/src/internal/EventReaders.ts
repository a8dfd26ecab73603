/**
 * Readers of a pool's events who take one at a time. What one of them is behind is kept for him, the newest 4,096, so that he
 * sees the last of them though the pool has ended meanwhile.
 */
import type { PoolEvent } from "@scoped-mcp/core"
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { run } from "./run.ts"

export interface Reader {
  readonly events: AsyncIterable<PoolEvent.PoolEvent>
  readonly leave: () => void
}

export interface EventReaders {
  /** A reader from now on. */
  readonly add: (events: Stream.Stream<PoolEvent.PoolEvent>, context: Context.Context<never>) => Reader
  /** When all events have been put by for all readers; their stream must have ended. */
  readonly ended: () => Promise<unknown>
}

const kept = 4096

export const make = (): EventReaders => {
  const running = new Set<Promise<void>>()
  return {
    add: (events, context) => {
      const queue = Effect.runSync(Queue.sliding<PoolEvent.PoolEvent, Cause.Done>(kept))
      const left = new AbortController()
      const reading = run(context, Stream.runIntoQueue(events, queue), left.signal)
        // Interrupted: the reader has left, or the pool had ended before he came.
        .catch(() => Effect.runSync(Effect.asVoid(Queue.end(queue))))
        .finally(() => running.delete(reading))
      running.add(reading)
      return { events: Stream.toAsyncIterable(Stream.fromQueue(queue)), leave: () => left.abort() }
    },
    ended: () => Promise.all(running)
  }
}
