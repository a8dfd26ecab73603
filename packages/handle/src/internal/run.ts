/** Runs effects of the runtime as promises that are rejected with errors of ours. */
import { ConfigFile, McpError } from "@scoped-mcp/core"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ConfigError } from "../errors.ts"
import { error } from "./plain.ts"

/** What a promise is rejected with, for whatever reason an effect has ended. */
const rejection = (cause: Cause.Cause<unknown>, signal?: AbortSignal): unknown => {
  if (signal?.aborted === true && Cause.hasInterruptsOnly(cause)) return signal.reason
  const failed = Cause.squash(cause)
  if (failed instanceof McpError.McpError) return error(failed)
  if (failed instanceof ConfigFile.ConfigError) return new ConfigError(failed.message, failed.file, failed.problems)
  return failed
}

/** Runs it; an aborted signal interrupts it, which cancels what it had asked of a server. */
export const run = async <A, E, R>(
  context: Context.Context<R>,
  effect: Effect.Effect<A, E, R>,
  signal?: AbortSignal
): Promise<A> => {
  signal?.throwIfAborted()
  const exit = await Effect.runPromiseExitWith(context)(effect, signal === undefined ? undefined : { signal })
  if (Exit.isSuccess(exit)) return exit.value
  throw rejection(exit.cause, signal)
}
