/**
 * Requests of the 2026 era over HTTP, in which arguments of a tool are headers too: with those that the list of tools
 * declares, and once more, with the list read again, where the server wants others.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { CallEngine } from "../CallEngine.ts"
import { type ResolvedLimits, span } from "../Limits.ts"
import type { McpError } from "../McpError.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"
import { isRecord } from "./frames.ts"
import { isUnread } from "./HttpFault.ts"
import type { KnownTools } from "./KnownTools.ts"

/** The server's words for headers that do not say what the request does. */
const headerMismatch = -32_020

/** Only with a status that no tool gives is it the server's own word, and the call unread. */
const isRefused = ({ reason }: McpError): boolean =>
  reason._tag === "ProtocolError" && reason.code === headerMismatch && isUnread(reason)

/** The engine's `request`; `relearn` reads the list of tools. */
export const make =
  (
    engine: CallEngine,
    wheel: DeadlineWheelService,
    limits: ResolvedLimits,
    known: KnownTools,
    relearn: Effect.Effect<unknown, McpError>
  ): CallEngine["request"] =>
  (method, params, options, details) => {
    const { arguments: args, name } = params
    if (method !== "tools/call" || typeof name !== "string" || !isRecord(args)) {
      return engine.request(method, params, options, details)
    }
    return Effect.suspend(() => {
      const startedAt = details?.startedAt ?? wheel.now()
      const once = Effect.suspend(() =>
        engine.request(method, params, options, { startedAt, headers: known.headers(name, args) })
      )
      return Effect.catchIf(once, isRefused, (error) => {
        const until = startedAt + Duration.toMillis(span("timeout", options?.timeout, limits.callTimeout))
        return relearn.pipe(
          Effect.timeoutOrElse({ duration: Math.max(0, until - wheel.now()), orElse: () => error }),
          Effect.matchEffect({ onFailure: () => error, onSuccess: () => once })
        )
      })
    })
  }
