/** A call of the reference server that takes its time and reports progress. */
import { type CallEngine, McpPool } from "@scoped-mcp/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { everything } from "./servers.ts"
import { NotSo } from "./Story.ts"

export const longCall = (
  options: { readonly seconds: number; readonly steps: number },
  onProgress: (progress: CallEngine.Progress) => void
) =>
  McpPool.McpPool.use((pool) =>
    pool.callTool({
      server: everything,
      tool: "trigger-long-running-operation",
      arguments: { duration: options.seconds, steps: options.steps },
      onProgress
    })
  )

/** One that is running for certain: the server has reported from inside it. */
export const startLongCall = Effect.gen(function* () {
  const running = yield* Deferred.make<void, NotSo>()
  const call = yield* longCall({ seconds: 60, steps: 300 }, () => Deferred.doneUnsafe(running, Effect.void)).pipe(
    Effect.onExit(() => Deferred.fail(running, new NotSo({ what: "the long call ended before it reported progress" }))),
    Effect.forkChild
  )
  yield* Deferred.await(running)
  return call satisfies Fiber.Fiber<unknown, unknown>
})
