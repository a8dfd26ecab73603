/**
 * Proves that a test has left nothing behind. The system is asked, through a process of its own that reads `/proc`, and
 * where given the servers; the statistics of the runtime under test are never evidence.
 *
 * Found are: processes below this one, also those that were handed to process 1 or have a session of their own;
 * descriptors, sockets and listening ports of this process; and inside it timers, handles that keep it alive, listeners
 * on `process` and signals, Effect fibres, and whatever a server counts as a session.
 *
 * **Assumed.** Nothing else works in the process meanwhile: checks that overlap see each other's resources. In Vitest's
 * default pool (`forks`) each test file has a process of its own, and all kinds are found. In the pool `threads` files
 * share a process; there descriptors and sockets are not compared, processes count when they carry the mark of their
 * thread in their environment, and timers, handles, listeners and fibres are found as they are per thread. Processes,
 * descriptors and sockets are found on Linux only. A process that clears its environment, leaves group and session, and
 * loses its parent within 20 ms escapes, as does a one-shot timer that was unreferenced: that one ends by itself.
 *
 * **Cost.** One Node process that asks `/proc` per test process, 1 to 2 ms per check, and some 10 microseconds for each
 * timer and fibre, whose place is remembered.
 *
 * @example
 * ```ts
 * import { LeakCheck } from "@scoped-mcp/testing"
 * import { Effect } from "effect"
 *
 * export const program = LeakCheck.scoped(Effect.acquireRelease(Effect.void, () => Effect.void))
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Found from "./internal/leak.ts"
import * as Fibers from "./internal/leakFibers.ts"
import * as Handles from "./internal/leakHandles.ts"
import * as System from "./internal/leakSystem.ts"
import * as Timers from "./internal/leakTimers.ts"

/**
 * One thing that was left behind. `what` names it: number and command line of a process, target of a descriptor, place
 * where a timer was set, event of a listener. Of a command line, only the program, names of flags and existing paths are
 * shown. `age` is how long it has been there; where that is not known, how long it can have been at most.
 *
 * @since 0.1.0
 */
export const Leak = Found.Leak

/** @since 0.1.0 */
export type Leak = Found.Leak

const line = (leak: Leak) => `  ${leak.kind} ${leak.what} (for ${Duration.format(leak.age)})`

/**
 * Something is still there after it had its time to go.
 *
 * @since 0.1.0
 */
export class LeakFound extends Schema.TaggedError<LeakFound>("@scoped-mcp/testing/LeakFound")("LeakFound", {
  leaks: Schema.Array(Leak),
  /** How long it was waited for them to go. */
  waited: Schema.Duration
}) {
  override get message() {
    const things = this.leaks.length === 1 ? "1 thing was" : `${this.leaks.length} things were`
    return `${things} left behind and still there after ${Duration.format(this.waited)}:\n${this.leaks.map(line).join("\n")}`
  }
}

/** @since 0.1.0 */
export interface Options {
  /** Longest wait, on the live clock, for what is about to end. Default 2 seconds. */
  readonly settle?: Duration.Input | undefined
  /** Sessions as the far side counts them, by name; a server's journal knows. */
  readonly sessions?: Readonly<Record<string, Effect.Effect<number>>> | undefined
  /** Watched for listeners besides `process`: all events of an `EventEmitter`, `abort` of an `EventTarget`. */
  readonly emitters?: Readonly<Record<string, Handles.Emitter>> | undefined
  /** True for what may stay. */
  readonly ignore?: ((leak: Leak) => boolean) | undefined
}

const defaultSettle = Duration.seconds(2)

const again = Schedule.min([Schedule.exponential("1 millis", 2), Schedule.spaced("50 millis")])

const remember = (options: Options) =>
  Effect.map(
    Effect.all([
      // The system last: the others look at what asking itself brings into being.
      Timers.timers,
      Handles.handles,
      Handles.listeners(options.emitters ?? {}),
      Fibers.fibers,
      Handles.sessions(options.sessions ?? {}),
      System.system
    ]),
    (detectors) =>
      Effect.map(Effect.all(detectors), (found) =>
        found.flat().filter((leak) => options.ignore === undefined || !options.ignore(leak))
      )
  )

/**
 * Remembers what there is. The effect it gives compares, waits for what is about to end, and fails with what is left;
 * it can be run more than once. For test runners that are not covered by the rest of this module.
 *
 * @since 0.1.0
 */
export const begin = (options: Options = {}): Effect.Effect<Effect.Effect<void, LeakFound>> => {
  const limit = Duration.fromInputUnsafe(options.settle ?? defaultSettle)
  return Effect.map(remember(options), (leaks) =>
    Effect.suspend(() => {
      const begun = performance.now()
      // In a turn of its own: a timer counts as running for as long as what it has woken runs.
      return Effect.andThen(Effect.yieldNow, leaks).pipe(
        Effect.repeat({
          schedule: again,
          until: (left) => left.length === 0 || performance.now() - begun >= Duration.toMillis(limit)
        }),
        // Real processes and sockets do not know virtual time.
        Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
        Effect.flatMap((left) => {
          const waited = Duration.millis(Math.round(performance.now() - begun))
          return left.length === 0 ? Effect.void : Effect.fail(new LeakFound({ leaks: left, waited }))
        })
      )
    })
  )
}

/**
 * Runs an effect and fails with `LeakFound` when it leaves something behind, whether it succeeds, fails or is
 * interrupted; its own failure is kept beside that.
 *
 * @since 0.1.0
 */
export const check = <A, E, R>(effect: Effect.Effect<A, E, R>, options?: Options): Effect.Effect<A, E | LeakFound, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const compare = yield* begin(options)
      const exit = yield* Effect.exit(restore(effect))
      const clean = yield* Effect.exit(compare)
      if (Exit.isSuccess(clean)) return yield* exit
      return yield* Effect.failCause(Exit.isSuccess(exit) ? clean.cause : Cause.combine(exit.cause, clean.cause))
    })
  )

/**
 * Runs an effect in a scope of its own, closes it, and then checks as {@link check} does.
 *
 * @since 0.1.0
 */
export const scoped = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: Options
): Effect.Effect<A, E | LeakFound, Exclude<R, Scope.Scope>> => check(Effect.scoped(effect), options)

/**
 * The hooks of a test runner, as Vitest has them.
 *
 * @since 0.1.0
 */
export interface Hooks<Context extends TestContext> {
  readonly beforeAll: (hook: () => Promise<void>) => void
  readonly beforeEach: (hook: (context: Context) => Promise<void>) => void
  readonly afterAll: (hook: () => Promise<void>) => void
  /** True for a test whose resources are released by hooks around it; it is checked at the end of its file. */
  readonly isShared: (context: Context) => boolean
}

/** @since 0.1.0 */
export interface TestContext {
  /** Runs a hook after everything else of the test, if it was the first to be registered. */
  readonly onTestFinished: (hook: () => Promise<void>) => void
}

/**
 * Checks every test, and every file once more when its last hooks have run. Tests that overlap are checked together,
 * when the last of them ends. The setup file `@scoped-mcp/testing/leak-check` calls it for Vitest.
 *
 * @since 0.1.0
 */
export const install = <Context extends TestContext>(hooks: Hooks<Context>, options?: Options): void => {
  System.prepare()
  Timers.prepare()
  Fibers.prepare()

  let compareFile: Effect.Effect<void, LeakFound> | undefined
  let running = 0
  let overlapping: { readonly compare: Promise<Effect.Effect<void, LeakFound>>; isShared: boolean } | undefined
  // What a test has been blamed for is still there at the end of its file.
  let isReported = false

  hooks.beforeAll(async () => {
    compareFile = await Effect.runPromise(begin(options))
  })
  hooks.beforeEach(async (context) => {
    running++
    const group = (overlapping ??= { compare: Effect.runPromise(begin(options)), isShared: false })
    group.isShared ||= hooks.isShared(context)
    context.onTestFinished(async () => {
      if (--running > 0) return
      overlapping = undefined
      if (group.isShared) return
      const found = await Effect.runPromise(Effect.exit(await group.compare))
      if (Exit.isSuccess(found)) return
      isReported = true
      throw Cause.squash(found.cause)
    })
    await group.compare.then(constVoid)
  })
  hooks.afterAll(async () => {
    if (compareFile !== undefined && !isReported) await Effect.runPromise(compareFile)
  })
}
