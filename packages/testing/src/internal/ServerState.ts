/** What all connections of one running server share. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Fault } from "../Fault.ts"
import type { Recorder } from "../Journal.ts"
import type { Definition } from "../ScriptedServer.ts"
import { type Frame, notification } from "./frames.ts"

export interface ServerState<F extends Fault> {
  readonly definition: Definition
  readonly faults: ReadonlyArray<F>
  readonly journal: Recorder
  /** Runs of each tool so far. */
  readonly executions: Map<string, number>
  /** Who hears of what the server has to tell unasked. */
  readonly listeners: Set<(notification: Frame) => Effect.Effect<void>>
  /** Connections so far. */
  connections: number
  /** Calls of tools that were answered so far. */
  answered: number
  /** Tools that were added to the definition's by now. */
  extraTools: number
  /** Milliseconds of the clock until which nobody is let in. */
  downUntil: number
}

export const make = <F extends Fault>(
  definition: Definition,
  faults: ReadonlyArray<F>,
  journal: Recorder
): ServerState<F> => ({
  definition,
  faults,
  journal,
  executions: new Map(),
  listeners: new Set(),
  connections: 0,
  answered: 0,
  extraTools: 0,
  downUntil: 0
})

/** Counts a connection, and picks the faults that it has. */
export const connect = <F extends Fault>(state: ServerState<F>): ReadonlyArray<F> => {
  const ordinal = ++state.connections
  return state.faults.filter((fault) => fault.connections === undefined || ordinal <= fault.connections)
}

export const isDown = <F extends Fault>(state: ServerState<F>): Effect.Effect<boolean> =>
  Effect.map(Clock.currentTimeMillis, (now) => now < state.downUntil)

export const goDown = <F extends Fault>(
  state: ServerState<F>,
  down: Duration.Duration | undefined
): Effect.Effect<void> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    if (down !== undefined) state.downUntil = now + Duration.toMillis(down)
  })

export const notify = <F extends Fault>(
  state: ServerState<F>,
  method: string,
  params: Frame | undefined
): Effect.Effect<void> =>
  Effect.suspend(() =>
    Effect.forEach([...state.listeners], (tell) => tell(notification(method, params)), { discard: true })
  )

/** The fault of that kind, if it is among them. */
export const find = <F extends Fault, const Tag extends F["_tag"]>(
  faults: ReadonlyArray<F>,
  tag: Tag
): Extract<F, { readonly _tag: Tag }> | undefined =>
  faults.find((fault): fault is Extract<F, { readonly _tag: Tag }> => fault._tag === tag)
