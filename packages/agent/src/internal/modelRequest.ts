/** Asks the model once, again where that can help, and never runs a tool: so asking again is always safe. */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { ModelFailed } from "../AgentError.ts"
import type { AgentEvent, Usage } from "../AgentEvent.ts"
import type { McpToolkit } from "../McpToolkit.ts"

export type Emit = (event: AgentEvent) => Effect.Effect<void>

/** A call in the words of the model. */
export interface ModelCall {
  readonly id: string
  readonly name: string
  readonly arguments: unknown
}

export interface Answer {
  readonly parts: ReadonlyArray<Response.AnyPart>
  readonly text: string
  readonly calls: ReadonlyArray<ModelCall>
  readonly finish: Response.FinishReason
  readonly usage: Usage
}

interface Options {
  readonly prompt: Prompt.Prompt
  readonly tools: McpToolkit
  readonly streaming: boolean
  readonly retries: number
  readonly emit: Emit
}

/** A model that wants a longer pause than this is not waited for. */
const patience = Duration.minutes(1)

const emitPart = (part: Response.AnyPart, emit: Emit): Effect.Effect<void> => {
  switch (part.type) {
    case "text-delta":
      return emit({ _tag: "TextDelta", text: part.delta })
    case "reasoning-delta":
      return emit({ _tag: "ReasoningDelta", text: part.delta })
    default:
      return Effect.void
  }
}

const failedPart = (part: Response.ErrorPart): AiError.AiError =>
  AiError.isAiError(part.error)
    ? part.error
    : AiError.make({
        module: "Agent",
        method: "request",
        reason: new AiError.InternalProviderError({
          description: part.error instanceof Error ? part.error.message : String(part.error)
        })
      })

const ask = (
  options: Options,
  onText: () => void
): Effect.Effect<ReadonlyArray<Response.AnyPart>, AiError.AiError, LanguageModel.LanguageModel> => {
  const request = {
    prompt: options.prompt,
    toolkit: options.tools.toolkit,
    disableToolCallResolution: true,
    toolCallValidation: "deferred"
  } as const
  if (!options.streaming) return Effect.map(LanguageModel.generateText(request), ({ content }) => content)
  const parts: Array<Response.AnyPart> = []
  return Effect.as(
    Stream.runForEach(LanguageModel.streamText(request), (part) => {
      if (part.type === "error") return Effect.fail(failedPart(part))
      if (part.type === "text-delta" || part.type === "reasoning-delta") onText()
      parts.push(part)
      return emitPart(part, options.emit)
    }),
    parts
  )
}

const textOf = (parts: ReadonlyArray<Response.AnyPart>): string =>
  parts.map((part) => (part.type === "text" ? part.text : part.type === "text-delta" ? part.delta : "")).join("")

const toAnswer = (parts: ReadonlyArray<Response.AnyPart>): Answer => {
  const finish = parts.find((part) => part.type === "finish")
  return {
    parts,
    text: textOf(parts),
    calls: parts.flatMap((part) =>
      part.type === "tool-call" && !part.providerExecuted
        ? [{ id: part.id, name: part.name, arguments: part.params }]
        : []
    ),
    finish: finish?.reason ?? "unknown",
    usage: {
      inputTokens: finish?.usage.inputTokens.total ?? 0,
      outputTokens: finish?.usage.outputTokens.total ?? 0
    }
  }
}

const pauseOf = (error: AiError.AiError, attempt: number): Duration.Duration | undefined => {
  if (!error.isRetryable) return undefined
  const { retryAfter } = error
  if (retryAfter === undefined) return Duration.millis(500 * 2 ** (attempt - 1))
  return Duration.isLessThanOrEqualTo(retryAfter, patience) ? retryAfter : undefined
}

export const request = (options: Options): Effect.Effect<Answer, ModelFailed, LanguageModel.LanguageModel> => {
  const attempt = (count: number): Effect.Effect<Answer, ModelFailed, LanguageModel.LanguageModel> =>
    Effect.suspend(() => {
      let spoken = false
      const onText = () => {
        spoken = true
      }
      return Effect.catch(Effect.map(ask(options, onText), toAnswer), (error) =>
        Effect.gen(function* () {
          if (spoken) yield* options.emit({ _tag: "TextWithdrawn" })
          const pause = count <= options.retries ? pauseOf(error, count) : undefined
          if (pause === undefined) return yield* new ModelFailed({ error, attempts: count })
          const jitter = yield* Random.nextBetween(1, 1.5)
          return yield* Effect.delay(attempt(count + 1), Duration.times(pause, jitter))
        })
      )
    })
  return attempt(1)
}
