/** Lets calls through to their servers as far as the policy goes, and puts every one of them on record. */
import type { CallEngine, McpError, McpPool, ToolResult } from "@scoped-mcp/core"
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ToolContent from "../ToolContent.ts"
import * as ToolFailure from "../ToolFailure.ts"
import * as ToolPolicy from "../ToolPolicy.ts"
import * as Sending from "./sending.ts"
import type { ToolEntry } from "./ToolEntry.ts"

/** What has been used. One for the turn, one for the agent. */
export interface Ledger {
  calls: number
  millis: number
  bytes: number
}

export const emptyLedger = (): Ledger => ({ calls: 0, millis: 0, bytes: 0 })

export interface Options {
  readonly policy: ToolPolicy.ToolPolicy
  readonly limits: ToolContent.ResolvedLimits
  readonly agent: string
  readonly turn: number
  readonly ledgers: { readonly turn: Ledger; readonly agent: Ledger }
  /** After the policy's own audit. */
  readonly onRecord: (record: ToolPolicy.AuditRecord) => Effect.Effect<void>
}

interface Call {
  readonly entry: ToolEntry
  readonly arguments: unknown
  readonly callId: string
  readonly idempotencyKey: string
  readonly onProgress?: ((progress: CallEngine.Progress) => void) | undefined
}

interface Outcome {
  readonly outcome: ToolPolicy.CallOutcome
  readonly content: ToolContent.Content
  /** Present unless the tool answered. */
  readonly failure: ToolFailure.ToolFailure | undefined
  readonly bytes: number
  readonly took: Duration.Duration
}

export interface ToolGate {
  readonly call: (call: Call) => Effect.Effect<Outcome, never, McpPool.McpPool>
}

/** What came of a call, before it is measured and recorded. */
interface Settled {
  readonly outcome: ToolPolicy.CallOutcome
  readonly converted?: ToolContent.Converted | undefined
  readonly failure?: ToolFailure.ToolFailure | undefined
  readonly error?: McpError.McpError | undefined
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const refusal = (
  outcome: ToolPolicy.CallOutcome,
  message: string,
  tryAgain: ToolFailure.TryAgain,
  mayHaveRun = false
): Settled => ({ outcome, failure: { error: outcome, message, mayHaveRun, tryAgain } })

interface Left {
  readonly calls: number
  readonly millis: number
  readonly bytes: number
}

const leftOf = (budget: ToolPolicy.Budget | undefined, used: Ledger): Left => ({
  calls: (budget?.calls ?? Number.POSITIVE_INFINITY) - used.calls,
  millis:
    (budget?.time === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(Duration.fromInputUnsafe(budget.time))) -
    used.millis,
  bytes:
    (budget?.bytes === undefined
      ? Number.POSITIVE_INFINITY
      : ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(budget.bytes))) - used.bytes
})

export const make = (options: Options): ToolGate => {
  const { ledgers, limits, policy } = options
  const approvalTimeout = Duration.fromInputUnsafe(policy.approve?.timeout ?? "5 minutes")

  const left = (): Left => {
    const turn = leftOf(policy.budget?.turn, ledgers.turn)
    const agent = leftOf(policy.budget?.agent, ledgers.agent)
    return {
      calls: Math.min(turn.calls, agent.calls),
      millis: Math.min(turn.millis, agent.millis),
      bytes: Math.min(turn.bytes, agent.bytes)
    }
  }

  const use = (what: keyof Ledger, amount: number) => {
    ledgers.turn[what] += amount
    ledgers.agent[what] += amount
  }

  const spent = (): Settled | undefined => {
    const { bytes, calls, millis } = left()
    const what = calls <= 0 ? "calls of tools" : millis <= 0 ? "time in tools" : bytes <= 0 ? "bytes of answers" : ""
    return what === ""
      ? undefined
      : refusal("BudgetSpent", `No more ${what} are allowed. Answer with what you have.`, "never")
  }

  const approved = (call: Call, args: Readonly<Record<string, unknown>>): Effect.Effect<Settled | undefined> => {
    const { approve } = policy
    const { annotations, server, tool } = call.entry
    if (approve === undefined || !approve.when.some((match) => ToolPolicy.matches(match, call.entry))) {
      return Effect.succeed(undefined)
    }
    const refused = (why: string | undefined) =>
      refusal("NotApproved", why === undefined ? "A person did not allow this call." : `Not allowed: ${why}`, "never")
    return Effect.suspend(() =>
      approve.ask({ agent: options.agent, turn: options.turn, server, tool, annotations, arguments: args })
    ).pipe(
      Effect.timeoutOrElse({
        duration: approvalTimeout,
        orElse: () => Effect.succeed<ToolPolicy.Approval>({ approved: false, reason: "nobody answered in time" })
      }),
      Effect.map((answer) => (answer.approved ? undefined : refused(answer.reason))),
      // Whatever goes wrong with asking is a no, and somebody should hear of it.
      Effect.catchCauseIf(
        (cause) => !Cause.hasInterrupts(cause),
        (cause) =>
          Effect.as(
            Effect.logError("Asking for approval of a tool call failed; it counts as a no", cause),
            refused("asking for approval failed")
          )
      ),
      Effect.orDie
    )
  }

  const settle = (call: Call, onAttempt: () => void): Effect.Effect<Settled, never, McpPool.McpPool> =>
    Effect.gen(function* () {
      if (!ToolPolicy.allows(policy, call.entry)) {
        return refusal("Denied", `The policy does not allow "${call.entry.tool}" of "${call.entry.server}".`, "never")
      }
      const args = call.arguments ?? {}
      if (!isRecord(args)) {
        return refusal("InvalidArguments", "The arguments are not a JSON object. Send an object.", "differently")
      }
      const before = spent()
      if (before !== undefined) return before
      // Counted before anyone is asked, so that calls at the same time cannot all pass on the last place.
      use("calls", 1)
      const refused = yield* Effect.onInterrupt(approved(call, args), () => Effect.sync(() => use("calls", -1)))
      if (refused !== undefined) {
        use("calls", -1)
        return refused
      }
      return yield* run(call, args, onAttempt)
    })

  const run = (call: Call, args: Readonly<Record<string, unknown>>, onAttempt: () => void) =>
    Effect.gen(function* () {
      const { millis } = left()
      const began = yield* Clock.currentTimeMillis
      const took = Effect.map(Clock.currentTimeMillis, (now) => use("millis", now - began))
      const { entry, idempotencyKey, onProgress } = call
      const sent = Effect.match(Sending.send({ entry, arguments: args, idempotencyKey, onAttempt, onProgress }), {
        onFailure: fromError,
        onSuccess: fromResult
      })
      const limited = Number.isFinite(millis)
        ? Effect.timeoutOrElse(sent, {
            duration: Duration.millis(millis),
            orElse: () =>
              Effect.succeed(
                refusal(
                  "BudgetSpent",
                  "The time for tools ran out while this one ran; it was cancelled.",
                  "never",
                  true
                )
              )
          })
        : sent
      const settled = yield* Effect.ensuring(limited, took)
      use("bytes", settled.converted?.bytes ?? 0)
      return settled
    })

  const within = (): ToolContent.ResolvedLimits => {
    const { bytes } = left()
    return { ...limits, maxText: Math.min(limits.maxText, bytes), maxMedia: Math.min(limits.maxMedia, bytes) }
  }

  const fromResult = (result: ToolResult.ToolResult): Settled => ({
    outcome: "Answered",
    converted: ToolContent.convert(result, within())
  })

  const fromError = (error: McpError.McpError): Settled => {
    const failure = ToolFailure.fromMcpError(error)
    const converted = ToolContent.fromText(failure.message, within())
    const message = converted.content.map((part) => (part.type === "text" ? part.text : "")).join("\n")
    return { outcome: "Failed", error, failure: { ...failure, message }, converted }
  }

  return {
    call: (call) =>
      Effect.gen(function* () {
        const startedAt = yield* Clock.currentTimeMillis
        let attempts = 0
        const record = (settled: Settled): Effect.Effect<Duration.Duration> =>
          Effect.gen(function* () {
            const took = Duration.millis((yield* Clock.currentTimeMillis) - startedAt)
            const entry: ToolPolicy.AuditRecord = {
              agent: options.agent,
              turn: options.turn,
              callId: call.callId,
              idempotencyKey: call.idempotencyKey,
              server: call.entry.server,
              tool: call.entry.tool,
              arguments: ToolPolicy.redact(policy, isRecord(call.arguments) ? call.arguments : {}),
              startedAt,
              took,
              outcome: settled.outcome,
              attempts,
              error: settled.error,
              bytes: settled.converted?.bytes ?? 0
            }
            if (policy.audit !== undefined) yield* policy.audit(entry)
            yield* options.onRecord(entry)
            return took
          })
        const settled = yield* Effect.onInterrupt(
          settle(call, () => {
            attempts++
          }),
          () => record({ outcome: "Interrupted" })
        )
        const took = yield* record(settled)
        return {
          outcome: settled.outcome,
          content: settled.failure === undefined ? (settled.converted?.content ?? []) : [],
          failure: settled.failure,
          bytes: settled.converted?.bytes ?? 0,
          took
        }
      })
  }
}
