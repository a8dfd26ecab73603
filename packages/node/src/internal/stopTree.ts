/**
 * Ends a server with everything it started: end of input, TERM, KILL, and a wait until nothing of it is alive. On the live
 * clock always: real processes do not know virtual time.
 */
import type { ChildProcess } from "node:child_process"
import type { StopStep } from "@scoped-mcp/core/ProcessOwner"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Survey } from "./Survey.ts"
import type { Tree } from "./Tree.ts"

const poll = Schedule.min([Schedule.exponential("2 millis", 1.5), Schedule.spaced("50 millis")])

/**
 * How long nothing must be found where helpers have left the group: a look at all processes is not of one moment, and one
 * that starts another and ends meanwhile can be missed.
 */
const doubt = 20

/** True as soon as nothing is left, false when something still is after the limit. */
const goneWithin = (tree: Tree, left: Effect.Effect<number>, limit: Duration.Duration): Effect.Effect<boolean> => {
  let emptySince: number | undefined
  const gone = Effect.map(left, (count) => {
    if (count > 0) {
      emptySince = undefined
      return false
    }
    emptySince ??= performance.now()
    return !tree.hasStrays() || performance.now() - emptySince >= doubt
  })
  return gone.pipe(
    Effect.repeat({ schedule: poll, until: (gone) => gone }),
    Effect.timeoutOrElse({ duration: limit, orElse: () => gone })
  )
}

export const stopTree = (
  child: ChildProcess,
  tree: Tree,
  survey: Survey,
  endInput: () => void,
  limit: Duration.Duration
): Effect.Effect<StopStep> =>
  Effect.gen(function* () {
    const exited = yield* Deferred.make<void>()
    if (child.exitCode !== null || child.signalCode !== null) yield* Deferred.succeed(exited, undefined)
    child.once("exit", () => Deferred.doneUnsafe(exited, Effect.void))
    const left = Effect.map(survey.next, tree.alive)
    // Seen now, a helper stays known when its parent ends and it is handed to process 1.
    if ((yield* left) === 0) return "Exited" as const
    const grace = Duration.times(limit, 0.3)
    endInput()
    // The leader's own exit is an event; only its helpers have to be looked for.
    yield* Effect.timeoutOption(Deferred.await(exited), grace)
    if (yield* goneWithin(tree, left, Deferred.isDoneUnsafe(exited) ? Duration.times(limit, 0.05) : Duration.zero)) {
      return "EndOfInput" as const
    }
    tree.signal(survey.now(), "SIGTERM")
    if (yield* goneWithin(tree, left, grace)) return "Terminate" as const
    // Again and again, because what is alive may start another before it dies.
    const kill = Effect.map(survey.next, (seen) => tree.signal(seen, "SIGKILL"))
    const killed = yield* goneWithin(tree, kill, Duration.times(limit, 0.35))
    return killed ? ("Kill" as const) : ("Survived" as const)
  }).pipe(Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()))
