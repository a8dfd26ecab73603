/**
 * A `LanguageModel` for every endpoint that speaks OpenAI's Chat Completions protocol: hosted ones, Ollama, vLLM, llama.cpp.
 * It can be replaced by any other `LanguageModel`.
 *
 * @example
 * ```ts
 * import { OpenAiModel } from "@scoped-mcp/agent"
 * import { Effect, Layer } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { FetchHttpClient } from "effect/http"
 *
 * const Local = OpenAiModel.layer({ baseUrl: "http://127.0.0.1:11434/v1", model: "qwen3" })
 *
 * export const program = LanguageModel.generateText({ prompt: "Say hello." }).pipe(
 *   Effect.provide(Layer.provide(Local, FetchHttpClient.layer))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Limits } from "@scoped-mcp/core"
import * as AiError from "effect/ai/AiError"
import { IdGenerator } from "effect/ai/IdGenerator"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as OpenAiStructuredOutput from "effect/ai/OpenAiStructuredOutput"
import type * as Response from "effect/ai/Response"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Answer from "./internal/openAiAnswer.ts"
import * as Failure from "./internal/openAiFailure.ts"
import * as Protocol from "./internal/openAiProtocol.ts"
import * as Request from "./internal/openAiRequest.ts"

/** @since 0.1.0 */
export interface Options {
  readonly model: string
  /** Up to and without `/chat/completions`. Default `https://api.openai.com/v1`. */
  readonly baseUrl?: string | undefined
  /** Sent as a bearer token. Default: none is sent. */
  readonly apiKey?: Redacted.Redacted | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Further fields of every request: `temperature`, `max_tokens`, `seed`, whatever the endpoint knows. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined
  /** Longest silence: before an answer, and between the pieces of a streamed one. Default 2 minutes. */
  readonly timeout?: Limits.Span | undefined
}

const defaultBaseUrl = "https://api.openai.com/v1"

const emptyEnd = "[DONE]"

/** The data of the events of a stream. Wishes for a later reconnection are passed over: there is none. */
const eventData = <E, R>(method: string, text: Stream.Stream<string, E, R>) =>
  Stream.suspend(() => {
    let data: Array<string> = []
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event") data.push(event.data.trim())
    })
    return Stream.flatMap(text, (chunk) => {
      const error = parser.feed(chunk)
      if (error !== undefined) {
        return Stream.fromEffect(Failure.fail(method, new AiError.InvalidOutputError({ description: error.message })))
      }
      const complete = data
      data = []
      return Stream.fromIterable(complete)
    })
  })

/**
 * The model over the HTTP client of the context. It fails with `AiError` and does not ask again by itself; {@link Agent}
 * does, as long as the failure calls itself temporary.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<LanguageModel.LanguageModel, never, HttpClient.HttpClient> {
  const client = yield* HttpClient.HttpClient
  const url = `${(options.baseUrl ?? defaultBaseUrl).replace(/\/+$/, "")}/chat/completions`
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "2 minutes")
  const key = options.apiKey === undefined ? "" : Redacted.value(options.apiKey)
  const scrub: Failure.Scrub = (text) => (key === "" ? text : text.replaceAll(key, "<redacted>"))

  const silence = (method: string) =>
    Failure.fail(
      method,
      new AiError.InternalProviderError({
        description: `nothing was heard for ${Duration.format(timeout)} (timeout)`
      })
    )

  const fromClient = (method: string) => (error: HttpClientError.HttpClientError) =>
    Failure.fromClient(method, error, scrub)

  const send = (method: string, body: Readonly<Record<string, unknown>>) =>
    HttpClientRequest.post(url).pipe(
      HttpClientRequest.setHeaders(options.headers ?? {}),
      key === "" ? (request) => request : HttpClientRequest.bearerToken(key),
      HttpClientRequest.bodyJsonUnsafe({ model: options.model, ...options.settings, ...body }),
      client.execute,
      Effect.catchTag("HttpClientError", fromClient(method)),
      Effect.flatMap((response) =>
        response.status >= 200 && response.status < 300
          ? Effect.succeed(response)
          : Failure.fromStatus(method, response, scrub)
      ),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => silence(method) })
    )

  const decode = (method: string, text: string) =>
    Effect.flatMap(
      Effect.catch(Protocol.decode(text), (error) =>
        Failure.fail(method, new AiError.InvalidOutputError({ description: scrub(error.message) }))
      ),
      (body) =>
        body.error === undefined || body.error === null
          ? Effect.succeed(body)
          : Failure.fail(
              method,
              new AiError.InternalProviderError({ description: scrub(Failure.describe(body.error).message) })
            )
    )

  /** Names for calls that come without one. */
  const newIds = Effect.gen(function* () {
    const prefix = yield* (yield* IdGenerator).generateId()
    return (index: number) => `${prefix}_${index}`
  })

  const generateText = (request: LanguageModel.ProviderOptions) =>
    Effect.gen(function* () {
      const method = "generateText"
      const newId = yield* newIds
      const response = yield* send(method, Request.make(request))
      const text = yield* response.text.pipe(
        Effect.catchTag("HttpClientError", fromClient(method)),
        Effect.timeoutOrElse({ duration: timeout, orElse: () => silence(method) })
      )
      const body = yield* decode(method, text)
      if ((body.choices ?? []).length === 0) {
        return yield* Failure.fail(method, new AiError.InvalidOutputError({ description: "the answer has no choices" }))
      }
      return Answer.whole(body, newId)
    })

  const streamText = (request: LanguageModel.ProviderOptions) =>
    Effect.gen(function* () {
      const method = "streamText"
      const answer = Answer.make(yield* newIds)
      const response = yield* send(method, {
        ...Request.make(request),
        stream: true,
        stream_options: { include_usage: true }
      })
      const pieces = response.stream.pipe(
        Stream.catchTag("HttpClientError", (error) => Stream.fromEffect(fromClient(method)(error))),
        Stream.decodeText,
        (text) => eventData(method, text),
        Stream.timeoutOrElse({ duration: timeout, orElse: () => Stream.fromEffect(silence(method)) }),
        Stream.takeUntil((data) => data === emptyEnd),
        Stream.filter((data) => data !== emptyEnd && data !== ""),
        Stream.mapEffect((data) => Effect.map(decode(method, data), answer.add)),
        Stream.flatMap(Stream.fromIterable<Response.StreamPartEncoded>)
      )
      const last = Effect.suspend(() =>
        answer.finished()
          ? Effect.succeed(answer.end())
          : Failure.fail(
              method,
              new AiError.InternalProviderError({ description: "the stream ended before the answer did" })
            )
      )
      return Stream.concat(pieces, Stream.flatMap(Stream.fromEffect(last), Stream.fromIterable))
    }).pipe(Stream.unwrap)

  return yield* LanguageModel.make({
    generateText,
    streamText,
    codecTransformer: OpenAiStructuredOutput.toCodecOpenAI
  })
})

/**
 * The model as a layer.
 *
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<LanguageModel.LanguageModel, never, HttpClient.HttpClient> =>
  Layer.effect(LanguageModel.LanguageModel, make(options))

/**
 * The model that the environment names: `OPENAI_MODEL`, and unless they are absent `OPENAI_BASE_URL` and `OPENAI_API_KEY`.
 *
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<LanguageModel.LanguageModel, Config.ConfigError, HttpClient.HttpClient> =
  Layer.unwrap(
    Effect.gen(function* () {
      const model = yield* Config.String("OPENAI_MODEL")
      const baseUrl = yield* Config.option(Config.String("OPENAI_BASE_URL"))
      const apiKey = yield* Config.option(Config.Redacted("OPENAI_API_KEY"))
      return layer({ model, baseUrl: Option.getOrUndefined(baseUrl), apiKey: Option.getOrUndefined(apiKey) })
    })
  )
