/**
 * Requests of the 2026 era that the server may answer with questions: they are put to the host's handlers, and the request
 * is sent again with the answers, until the server has what it needs.
 *
 * https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { CallEngine } from "../CallEngine.ts"
import type { ResolvedLimits } from "../Limits.ts"
import { span } from "../Limits.ts"
import {
  CallTimeout,
  ConnectionLost,
  InputRequired,
  InvalidResult,
  McpError,
  ProtocolError,
  type Reason
} from "../McpError.ts"
import type { WireClosed } from "../Wire.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"
import { isRecord } from "./frames.ts"
import type * as Host from "./Host.ts"
import type { Scrub } from "./redaction.ts"

const maxRounds = 10

/** A server that only wants to be asked again is not asked at once. */
const pause = Duration.millis(250)

/**
 * What a later round failed with, as the caller is told: the server has read the rounds before it, so that nothing proves
 * any more that the call as a whole has not been begun.
 */
const begun = (error: McpError): McpError => {
  const { reason } = error
  const delivery = "OutcomeUnknown"
  if (reason.delivery !== "NotSent") return error
  switch (reason._tag) {
    case "ConnectionLost": {
      const { detail, exitCode, server, signal, stderr } = reason
      return new McpError({ reason: new ConnectionLost({ server, detail, exitCode, signal, stderr, delivery }) })
    }
    case "CallTimeout": {
      const { limit, phase, request, server } = reason
      return new McpError({ reason: new CallTimeout({ server, request, phase, limit, delivery }) })
    }
    case "ProtocolError": {
      const { code, data, detail, request, server, status } = reason
      return new McpError({ reason: new ProtocolError({ server, request, code, status, detail, data, delivery }) })
    }
    default:
      return error
  }
}

export interface Options {
  readonly server: string
  readonly send: CallEngine["request"]
  readonly wheel: DeadlineWheelService
  readonly limits: ResolvedLimits
  readonly host: Host.Host
  readonly scrub: Scrub
  readonly closed: Effect.Effect<WireClosed>
}

/** `send`, with its questions answered. All rounds together have the limit of one call. */
export const make = ({ closed, host, limits, scrub, send, server, wheel }: Options): CallEngine["request"] => {
  const fail = (reason: Reason) => Effect.fail(new McpError({ reason }))

  /** What the server chose, as it may be shown. */
  const told = (text: string) => scrub(text).slice(0, 100)

  const questions = Effect.fnUntraced(function* (request: string, asked: Readonly<Record<string, unknown>>) {
    const answers = yield* Effect.forEach(
      Object.entries(asked),
      ([key, question]) => {
        const method = isRecord(question) ? question["method"] : undefined
        if (!isRecord(question) || typeof method !== "string") {
          return fail(
            new InvalidResult({ server, request, detail: `its question "${told(key)}" is of no known shape` })
          )
        }
        return host.answer(method, question["params"]).pipe(
          Effect.map((answer) => [key, answer] as const),
          Effect.catch(({ text }) =>
            fail(new InputRequired({ server, request, detail: `${told(method)}: ${scrub(text)}` }))
          )
        )
      },
      { concurrency: "unbounded" }
    )
    return Object.fromEntries(answers)
  })

  return (method, params, options, details) =>
    Effect.suspend(() => {
      const startedAt = details?.startedAt ?? wheel.now()
      const total = span("timeout", options?.timeout, limits.callTimeout)
      const timedOut = () =>
        fail(new CallTimeout({ server, request: method, phase: "Total", limit: total, delivery: "Answered" }))
      const left = () => Duration.millis(Math.max(0, startedAt + Duration.toMillis(total) - wheel.now()))
      // Whoever is asked while the connection ends is not asked any more.
      const ended = Effect.flatMap(closed, (why) => fail(why.toReason("OutcomeUnknown")))

      const once = (count: number, sent: Readonly<Record<string, unknown>>) => {
        const asked = send(method, sent, options, { ...details, startedAt })
        return count === 0 ? asked : Effect.mapError(asked, begun)
      }

      const round = (
        count: number,
        sent: Readonly<Record<string, unknown>>
      ): Effect.Effect<Readonly<Record<string, unknown>>, McpError> =>
        Effect.flatMap(once(count, sent), (result) => {
          if (result["resultType"] !== "input_required") return Effect.succeed(result)
          const { inputRequests, requestState } = result
          const asked = isRecord(inputRequests) ? inputRequests : {}
          const isAsked = Object.keys(asked).length > 0
          if (!isAsked && typeof requestState !== "string") {
            return fail(new InvalidResult({ server, request: method, detail: "it asks for input, and for nothing" }))
          }
          if (count === maxRounds) {
            const detail = `it still asks after ${maxRounds} rounds`
            return fail(new InputRequired({ server, request: method, detail }))
          }
          const answered = isAsked
            ? Effect.map(questions(method, asked), (inputResponses) => ({ inputResponses }))
            : Effect.as(Effect.sleep(pause), {})
          return Effect.timeoutOrElse(Effect.raceFirst(answered, ended), { duration: left(), orElse: timedOut }).pipe(
            Effect.flatMap((answers) =>
              round(count + 1, {
                ...params,
                ...answers,
                // As it came: it is the server's own, and may be signed.
                ...(typeof requestState === "string" ? { requestState } : {})
              })
            )
          )
        })

      return round(0, params)
    })
}
