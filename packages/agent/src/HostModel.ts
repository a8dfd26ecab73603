/**
 * The other direction: servers that ask the program's model (sampling) and its people (elicitation), under a policy. Give the
 * layers to the pool; servers are told of what there is when their connections open.
 *
 * @example
 * ```ts
 * import { HostModel, OpenAiModel } from "@scoped-mcp/agent"
 * import { McpPool, ServerConfig } from "@scoped-mcp/core"
 * import { Effect, Layer } from "effect"
 *
 * const Sampling = HostModel.layerSampling({
 *   servers: ["summaries"],
 *   approve: (question) => Effect.as(Effect.log(`${question.server} asks the model`), { approved: true }),
 *   budget: { requests: 20, tokens: 50_000 }
 * }).pipe(Layer.provide(OpenAiModel.layerConfig))
 *
 * export const Servers = McpPool.layer({
 *   servers: { summaries: ServerConfig.stdio({ command: "summaries-mcp" }) }
 * }).pipe(Layer.provide(Sampling))
 * ```
 *
 * @since 0.1.0
 */
import { HostHandlers, Limits } from "@scoped-mcp/core"
import * as LanguageModel from "effect/ai/LanguageModel"
import { ModelName } from "effect/ai/Model"
import type * as Prompt from "effect/ai/Prompt"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { isSecretName, matchesName } from "./internal/names.ts"
import * as Sampling from "./internal/sampling.ts"
import type { Approval } from "./ToolPolicy.ts"

type CreateMessage = HostHandlers.Sampling["Service"]["createMessage"]
type Form = NonNullable<HostHandlers.Elicitation["Service"]["form"]>
type Url = NonNullable<HostHandlers.Elicitation["Service"]["url"]>

/**
 * What a server wants of the model.
 *
 * @since 0.1.0
 */
export interface Question {
  readonly server: string
  readonly prompt: Prompt.Prompt
  /** As the server sent it. */
  readonly request: Parameters<CreateMessage>[0]
}

/**
 * Which servers may ask, and who looks at what they ask.
 *
 * @since 0.1.0
 */
export interface SamplingOptions {
  /** Servers that may ask, with `*` for any text; there is no default. */
  readonly servers: ReadonlyArray<string>
  /** Looks at each question before the model does. Its failure is a no. Default: a yes. */
  readonly approve?: ((question: Question) => Effect.Effect<Approval, unknown>) | undefined
  /** Looks at each answer before the server does. Its failure is a no. Default: a yes. */
  readonly review?: ((question: Question, answer: string) => Effect.Effect<Approval, unknown>) | undefined
  /** Of each server, as long as the layer lives. Default: none. Tokens are as the model counts them, in and out. */
  readonly budget?: { readonly requests?: number | undefined; readonly tokens?: number | undefined } | undefined
  /** Longest time of one question, looking at it included. Default 5 minutes. */
  readonly timeout?: Limits.Span | undefined
}

const defaultTimeout = Duration.minutes(5)

const refuse = (text: string) => Effect.fail(new HostHandlers.Refused({ text }))

const mayAsk = (servers: ReadonlyArray<string>, server: string) =>
  servers.some((pattern) => matchesName(pattern, server))

/** Somebody's word. A failure or a defect is a no; interruption stays what it is. */
const consent = (asking: Effect.Effect<Approval, unknown>): Effect.Effect<void, HostHandlers.Refused> =>
  asking.pipe(
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterrupts(cause),
      (cause) =>
        Effect.as(Effect.logError("Asking for consent failed; it counts as a no", cause), { approved: false as const })
    ),
    Effect.orDie,
    Effect.flatMap((answer: Approval) =>
      answer.approved ? Effect.void : refuse(answer.reason ?? "The host does not allow this.")
    )
  )

/**
 * Lets servers ask the model of the context. It gets no tools, and nothing of any conversation: only what the server sends.
 * A server's wishes for a model, its temperature and its stop texts are not passed on; `maxTokens` cuts the answer, as
 * estimated.
 *
 * @since 0.1.0
 */
export const layerSampling = (
  options: SamplingOptions
): Layer.Layer<HostHandlers.Sampling, never, LanguageModel.LanguageModel> =>
  Layer.effect(
    HostHandlers.Sampling,
    Effect.gen(function* () {
      const model = yield* LanguageModel.LanguageModel
      const name = Option.getOrElse(yield* Effect.serviceOption(ModelName), () => "unknown")
      const timeout = Limits.span("timeout", options.timeout, defaultTimeout)
      const used = new Map<string, { requests: number; tokens: number }>()

      const createMessage: CreateMessage = (request, { server }) =>
        Effect.gen(function* () {
          if (!mayAsk(options.servers, server)) return yield* refuse("This server may not ask the model.")
          const spent = used.get(server) ?? { requests: 0, tokens: 0 }
          used.set(server, spent)
          const { requests = Number.POSITIVE_INFINITY, tokens = Number.POSITIVE_INFINITY } = options.budget ?? {}
          if (spent.requests >= requests || spent.tokens >= tokens) {
            return yield* refuse("This server has asked the model as much as it may.")
          }
          // Counted before anyone looks at it, so that questions at the same time cannot all be the last one.
          spent.requests++
          const prompt = Sampling.toPrompt(request)
          if (prompt === undefined) return yield* refuse("Questions with tools are not answered.")
          const question: Question = { server, prompt, request }
          if (options.approve !== undefined) yield* consent(options.approve(question))
          const response = yield* Effect.catch(model.generateText({ prompt }), (error) =>
            Effect.andThen(
              Effect.logWarning(`The model did not answer the question of "${server}": ${error.message}`),
              refuse("The model did not answer.")
            )
          )
          spent.tokens += (response.usage.inputTokens.total ?? 0) + (response.usage.outputTokens.total ?? 0)
          const { result, text } = Sampling.toResult(response, request.maxTokens, name)
          if (options.review !== undefined) yield* consent(options.review(question, text))
          return result
        }).pipe(Effect.timeoutOrElse({ duration: timeout, orElse: () => refuse("The host did not answer in time.") }))
      return { createMessage }
    })
  )

/**
 * Which servers may ask people, and how they are asked.
 *
 * @since 0.1.0
 */
export interface ElicitationOptions {
  /** Servers that may ask, with `*` for any text; there is no default. */
  readonly servers: ReadonlyArray<string>
  /** Shows a form. Its failure is a decline. Default: servers are told that there are no forms. */
  readonly form?: ((request: Parameters<Form>[0], server: string) => ReturnType<Form>) | undefined
  /** Offers to go to an address, which is `https` always. Default: servers are told that nobody goes anywhere. */
  readonly url?: ((request: Parameters<Url>[0], server: string) => ReturnType<Url>) | undefined
  /** A person who does not answer by then has cancelled. Default 5 minutes. */
  readonly timeout?: Limits.Span | undefined
}

const isSafe = (url: string): boolean => URL.canParse(url) && new URL(url).protocol === "https:"

/**
 * Lets servers ask a person. A form that asks for a secret, by the name of a field, is refused unseen, as is an address that
 * is not `https`: the protocol forbids the one and we the other.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation
 *
 * @since 0.1.0
 */
export const layerElicitation = (options: ElicitationOptions): Layer.Layer<HostHandlers.Elicitation> =>
  Layer.sync(HostHandlers.Elicitation, () => {
    const timeout = Limits.span("timeout", options.timeout, defaultTimeout)
    const { form, servers, url } = options

    const asking = (server: string, refusal: string | undefined, ask: () => ReturnType<Form>): ReturnType<Form> =>
      Effect.suspend(() => {
        if (!mayAsk(servers, server)) return refuse("This server may not ask anybody.")
        return refusal === undefined ? ask() : refuse(refusal)
      }).pipe(Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.succeed({ action: "cancel" as const }) }))

    const asked = (properties: object) => Object.keys(properties).find(isSecretName)

    return {
      ...(form === undefined
        ? {}
        : {
            form: (request, { server }) => {
              const secret = asked(request.requestedSchema.properties)
              const refusal = secret === undefined ? undefined : `A form may not ask for a secret ("${secret}").`
              return asking(server, refusal, () => form(request, server))
            }
          }),
      ...(url === undefined
        ? {}
        : {
            url: (request, { server }) =>
              asking(server, isSafe(request.url) ? undefined : "The address is not https.", () => url(request, server))
          })
    }
  })
