/** Walks through a script, one frame of the client after the other. */
import * as Effect from "effect/Effect"
import type { Script, Step } from "../Script.ts"
import { type Frame, isRequestId, matches, type RequestId } from "./frames.ts"

export interface Actions {
  /** Lets the definition serve the frame, to the end. */
  readonly serve: (frame: Frame) => Effect.Effect<void>
  /** The same, without waiting for it. */
  readonly begin: (frame: Frame) => Effect.Effect<void>
  readonly send: (text: string, related: RequestId | undefined) => Effect.Effect<void>
  readonly failed: (detail: string) => Effect.Effect<void>
  readonly hangUp: Effect.Effect<void>
}

export interface ScriptRun {
  /** The steps before the first frame. */
  readonly start: Effect.Effect<void>
  readonly onFrame: (frame: Frame) => Effect.Effect<void>
}

const handshakeEnds = new Set<unknown>(["notifications/initialized", "server/discover"])

export const make = (script: Script, actions: Actions): ScriptRun => {
  let position = 0
  let asked: RequestId | undefined

  /** Takes the step that needs no frame, or answers false. */
  const take = (step: Step): Effect.Effect<boolean> => {
    switch (step._tag) {
      case "Reply":
        return Effect.as(actions.send(JSON.stringify({ jsonrpc: "2.0", id: asked ?? null, ...step.body }), asked), true)
      case "Send":
        return Effect.as(actions.send(step.text, asked), true)
      case "Wait":
        return Effect.as(Effect.sleep(step.delay), true)
      case "HangUp":
        return Effect.as(actions.hangUp, true)
      case "Expect":
      case "Serve":
        return Effect.succeed(false)
    }
  }

  const start = Effect.gen(function* () {
    for (;;) {
      const step = script[position]
      if (step === undefined || !(yield* take(step))) return
      position++
    }
  })

  const onFrame = Effect.fnUntraced(function* (frame: Frame) {
    const step = script[position]
    if (step?._tag === "Expect") {
      if (!matches(frame, step.pattern)) {
        return yield* actions.failed(`expected ${JSON.stringify(step.pattern)}, got ${JSON.stringify(frame)}`)
      }
      asked = isRequestId(frame["id"]) ? frame["id"] : undefined
    } else if (
      step?._tag === "Serve" &&
      (step.until === undefined ? handshakeEnds.has(frame["method"]) : frame["method"] === step.until)
    ) {
      yield* actions.serve(frame)
    } else {
      return yield* actions.begin(frame)
    }
    position++
    yield* start
  })

  return { start, onFrame }
}
