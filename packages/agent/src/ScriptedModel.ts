/**
 * A model that says what a test or an example has written for it, one step after the other, and keeps what it was asked.
 *
 * @example
 * ```ts
 * import { Agent, ScriptedModel } from "@scoped-mcp/agent"
 * import { Effect } from "effect"
 *
 * const model = ScriptedModel.make([
 *   { calls: [{ name: "sql__list_tables" }] },
 *   ({ results }) => `There are these tables: ${results.map(({ text }) => text).join()}`
 * ])
 *
 * export const program = Effect.provide(Agent.ask("Which tables are there?"), Agent.layer({ servers: ["sql"] })).pipe(
 *   Effect.provide(model.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Limits } from "@scoped-mcp/core"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { estimate } from "./TokenEstimate.ts"

/**
 * The answer to a call, as the model got it.
 *
 * @since 0.1.0
 */
export interface Result {
  readonly id: string
  readonly name: string
  readonly isFailure: boolean
  readonly text: string
}

/**
 * What the model was asked.
 *
 * @since 0.1.0
 */
export interface Request {
  readonly prompt: Prompt.Prompt
  /** Names of the tools it was offered. */
  readonly tools: ReadonlyArray<string>
  /** What came of the calls it made last. */
  readonly results: ReadonlyArray<Result>
}

/**
 * What the model does in one step: says a text, or more.
 *
 * @since 0.1.0
 */
export type Step =
  | string
  | {
      readonly text?: string | undefined
      readonly calls?:
        | ReadonlyArray<{ readonly name: string; readonly arguments?: unknown; readonly id?: string }>
        | undefined
      /** Default: `tool-calls` with calls, else `stop`. */
      readonly finish?: Response.FinishReason | undefined
      /** Fails instead. */
      readonly fail?: AiError.AiErrorReason | undefined
      /** Time it takes before it says anything. */
      readonly after?: Limits.Span | undefined
    }

/** @since 0.1.0 */
export interface ScriptedModel {
  readonly layer: Layer.Layer<LanguageModel.LanguageModel>
  /** What it was asked so far. */
  readonly requests: () => ReadonlyArray<Request>
}

const resultsOf = (prompt: Prompt.Prompt): ReadonlyArray<Result> => {
  const last = prompt.content.at(-1)
  if (last?.role !== "tool") return []
  return last.content.flatMap((part) =>
    part.type === "tool-result"
      ? [
          {
            id: part.id,
            name: part.name,
            isFailure: part.isFailure,
            text:
              part.modelOutput === undefined
                ? JSON.stringify(part.result)
                : Prompt.toolModelOutputToText(part.modelOutput)
          }
        ]
      : []
  )
}

const exhausted = AiError.make({
  module: "ScriptedModel",
  method: "next",
  reason: new AiError.InvalidRequestError({ description: "the script has no further step" })
})

/**
 * Makes a model of steps, or of functions of what it is asked. A request after the last step fails, and is not repeated.
 *
 * @since 0.1.0
 */
export const make = (steps: ReadonlyArray<Step | ((request: Request) => Step)>): ScriptedModel => {
  const requests: Array<Request> = []

  const next = (
    options: LanguageModel.ProviderOptions
  ): Effect.Effect<{ readonly text: string; readonly rest: Array<Response.PartEncoded> }, AiError.AiError> =>
    Effect.suspend(() => {
      const { prompt, tools } = options
      const request: Request = { prompt, tools: tools.map(({ name }) => name), results: resultsOf(prompt) }
      const index = requests.push(request) - 1
      const written = steps[index]
      if (written === undefined) return Effect.fail(exhausted)
      const step = typeof written === "function" ? written(request) : written
      const { after, calls = [], fail, finish, text = "" } = typeof step === "string" ? { text: step } : step
      const said =
        fail === undefined
          ? Effect.sync(() => ({
              text,
              rest: [
                ...calls.map((call, place): Response.PartEncoded => ({
                  type: "tool-call",
                  id: call.id ?? `call_${index + 1}_${place + 1}`,
                  name: call.name,
                  params: call.arguments ?? {}
                })),
                {
                  type: "finish" as const,
                  reason: finish ?? (calls.length > 0 ? "tool-calls" : "stop"),
                  response: undefined,
                  usage: {
                    inputTokens: {
                      total: estimate(prompt),
                      uncached: undefined,
                      cacheRead: undefined,
                      cacheWrite: undefined
                    },
                    outputTokens: { total: estimate(text), text: undefined, reasoning: undefined }
                  }
                }
              ]
            }))
          : Effect.fail(AiError.make({ module: "ScriptedModel", method: "next", reason: fail }))
      return after === undefined ? said : Effect.delay(said, after)
    })

  const model = LanguageModel.make({
    generateText: (options) =>
      Effect.map(next(options), ({ rest, text }) => (text === "" ? rest : [{ type: "text", text }, ...rest])),
    streamText: (options) =>
      Stream.flatMap(Stream.fromEffect(next(options)), ({ rest, text }) => {
        const words = text.match(/\s*\S+/g) ?? []
        const parts: Array<Response.StreamPartEncoded> = []
        if (words.length > 0) {
          parts.push({ type: "text-start", id: "text" })
          parts.push(...words.map((delta) => ({ type: "text-delta" as const, id: "text", delta })))
          parts.push({ type: "text-end", id: "text" })
        }
        return Stream.fromIterable([...parts, ...(rest as Array<Response.StreamPartEncoded>)])
      })
  })
  return { layer: Layer.effect(LanguageModel.LanguageModel, model), requests: () => [...requests] }
}
