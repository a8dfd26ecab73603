/** One call of a tool: its arguments are read, its handler is run, and the journal is told before and after. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Fault } from "../Fault.ts"
import type { CallContext } from "../ScriptedServer.ts"
import { type Frame, isRequestId, notification, recordOf, type RequestId } from "./frames.ts"
import { Refusal } from "./methods.ts"
import type * as ServerState from "./ServerState.ts"

export interface Caller {
  readonly session: string
  /** The call is refused with this text. */
  readonly quoted: string | undefined
}

export const reasonText = (reason: unknown): string =>
  reason instanceof Error ? reason.message : typeof reason === "string" ? reason : JSON.stringify(reason)

const text = (value: string) => [{ type: "text", text: value }]

const failed = (reason: unknown): Frame => ({ content: text(reasonText(reason)), isError: true })

const outcome = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) ? "Answered" : Cause.hasInterruptsOnly(exit.cause) ? "Interrupted" : "Failed"

export const run = Effect.fnUntraced(function* (
  state: ServerState.ServerState<Fault>,
  { quoted, session }: Caller,
  params: Frame,
  requestId: RequestId,
  send: (frame: Frame, related: RequestId) => Effect.Effect<void>
): Effect.fn.Return<Frame, unknown> {
  if (quoted !== undefined) return yield* Effect.fail(new Refusal(-32_603, `could not log in with ${quoted}`))
  const name = String(params["name"])
  const tool = state.definition.tools.find((known) => known.name === name)
  if (tool === undefined) {
    const extra = Number(/^extra_(\d+)$/.exec(name)?.[1])
    if (extra <= state.extraTools) return { content: text(name) }
    return yield* Effect.fail(new Refusal(-32_602, `Unknown tool: ${name}`))
  }

  const start = (handler: (context: CallContext) => Effect.Effect<Frame, unknown>) => {
    const execution = (state.executions.get(name) ?? 0) + 1
    state.executions.set(name, execution)
    const token = recordOf(params["_meta"])["progressToken"]
    const about = { session, tool: name, requestId, idempotencyId: tool.idempotencyId(args) }
    const context: CallContext = {
      session,
      requestId,
      execution,
      progress: (progress, total, message) =>
        isRequestId(token)
          ? send(notification("notifications/progress", { progressToken: token, progress, total, message }), requestId)
          : Effect.void,
      notify: (method, told) => send(notification(method, told), requestId)
    }
    return Effect.andThen(
      state.journal.record({ _tag: "ToolStarted", ...about }),
      Effect.onExit(handler(context), (exit) =>
        state.journal.record({ _tag: "ToolEnded", ...about, outcome: outcome(exit) })
      )
    )
  }

  const args = recordOf(params["arguments"])
  return yield* Effect.catch(Effect.flatMap(tool.prepare(args), start), (reason) => Effect.succeed(failed(reason)))
})
