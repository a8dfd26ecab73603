/** A defect of the SDK as a function of a client: it must fail over the plain SDK, for the reason given, and hold over ours. */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, type Scope } from "effect"
import { ours } from "./ours.ts"
import { sdk } from "./sdk.ts"
import type { Refused, Subject } from "./Subject.ts"

/** What must hold does not; the message says what was found instead. */
export class Broken extends Data.TaggedError("Broken")<{ readonly message: string }> {}

export const must = (holds: boolean, found: string): Effect.Effect<void, Broken> =>
  holds ? Effect.void : Effect.fail(new Broken({ message: found }))

export interface Row {
  /** Number of the defect in `docs/sdk-defects.md`, and what must hold. */
  readonly holds: string
  /** What is found with the SDK, word for word. A run that succeeds, or fails in any other way, shows nothing. */
  readonly sdk: string
  readonly run: (subject: Subject) => Effect.Effect<void, Broken | Refused, Scope.Scope>
}

const define = ({ holds, run, sdk: found }: Row) => {
  it.live(`${holds}: broken by the SDK`, () =>
    Effect.map(Effect.flip(run(sdk)), (error) => assert.deepStrictEqual(error, new Broken({ message: found })))
  )
  it.live(holds, () => run(ours))
}

/** Runs the rows side by side. */
export const rows = (...all: ReadonlyArray<Row>) => describe.concurrent("side by side", () => all.forEach(define))

/** Runs the rows one after the other: what they look at, or what they take, is a whole process. */
export const rowsAlone = (...all: ReadonlyArray<Row>) => describe("one by one", () => all.forEach(define))
