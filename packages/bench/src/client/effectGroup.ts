/** Groups of stacks that are Effect programs: the load runs as fibres, as a program on Effect would make it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import { type Call, check, type Group, type Load, type Stack, type Target } from "./Stack.ts"

/** One server; answers the text of the result. */
export type EffectSession<R = never> = (call: Call) => Effect.Effect<string, unknown, R>

const worker = <R>(session: EffectSession<R>, load: Load) =>
  Effect.gen(function* () {
    const { call, onCall } = load
    for (let made = 0; made < load.calls; made++) {
      const startedAt = onCall === undefined ? 0 : performance.now()
      check(call, yield* session(call))
      onCall?.(performance.now() - startedAt)
    }
  })

/** A stack whose platform is a layer, and whose sessions live in a scope. */
export const effectStack = <R>(
  platform: Layer.Layer<R, unknown>,
  open: (targets: ReadonlyArray<Target>) => Effect.Effect<ReadonlyArray<EffectSession<R>>, unknown, R | Scope.Scope>
): Stack => {
  const runtime = ManagedRuntime.make(platform)
  return {
    open: async (targets): Promise<Group> => {
      const scope = Scope.makeUnsafe()
      const sessions = await runtime.runPromise(Scope.provide(open(targets), scope))
      return {
        run: (load) =>
          runtime.runPromise(
            Effect.forEach(
              sessions.flatMap((session) => Array.from({ length: load.width }, () => session)),
              (session) => worker(session, load),
              { concurrency: "unbounded", discard: true }
            )
          ),
        close: () => runtime.runPromise(Scope.close(scope, Exit.void))
      }
    },
    stop: () => runtime.dispose()
  }
}
