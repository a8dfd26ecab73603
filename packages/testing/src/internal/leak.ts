/** What a leak is, and what finds leaks. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export const Leak = Schema.Struct({
  kind: Schema.Literals([
    "Process",
    "FileDescriptor",
    "Socket",
    "ListeningPort",
    "Timer",
    "Handle",
    "Listener",
    "Fiber",
    "Session"
  ]),
  what: Schema.String,
  age: Schema.Duration,
  pid: Schema.optionalKey(Schema.Number)
})
export type Leak = typeof Leak.Type

/** Remembers what there is; the effect it gives finds what has been added since, as often as it is run. */
export type Detector = Effect.Effect<Effect.Effect<ReadonlyArray<Leak>>>
