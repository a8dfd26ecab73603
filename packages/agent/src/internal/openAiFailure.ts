/** What goes wrong between us and a Chat Completions server, in the words of `AiError`, without the key. */
import * as AiError from "effect/ai/AiError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as Protocol from "./openAiProtocol.ts"

export type Scrub = (text: string) => string

const maxBody = 2_000

export const fail = (method: string, reason: AiError.AiErrorReason) =>
  Effect.fail(AiError.make({ module: "OpenAiModel", method, reason }))

/** Seconds, or a date; some servers say it in milliseconds as well. */
const retryAfter = (
  headers: Readonly<Record<string, string | undefined>>,
  now: number
): Duration.Duration | undefined => {
  const millis = Number(headers["retry-after-ms"] ?? Number.NaN)
  if (Number.isFinite(millis) && millis >= 0) return Duration.millis(millis)
  const header = headers["retry-after"]
  if (header === undefined) return undefined
  const seconds = Number(header)
  if (Number.isFinite(seconds)) return Duration.seconds(Math.max(0, seconds))
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Duration.millis(Math.max(0, date - now))
}

export const describe = (
  failure: Protocol.Failure | undefined
): { readonly message: string; readonly code: string } => {
  if (failure === undefined) return { message: "no reason given", code: "" }
  if (typeof failure === "string") return { message: failure, code: "" }
  return { message: failure.message ?? "no reason given", code: String(failure.code ?? failure.type ?? "") }
}

const parseFailure = (body: string): Protocol.Failure => {
  try {
    const parsed = JSON.parse(body) as unknown
    const inner: unknown = Array.isArray(parsed) ? parsed[0] : parsed
    const error = typeof inner === "object" && inner !== null && "error" in inner ? inner.error : inner
    if (typeof error === "string") return error
    if (typeof error === "object" && error !== null) {
      const { code, message, type } = error as Record<string, unknown>
      return {
        message: typeof message === "string" ? message : body,
        code: typeof code === "string" || typeof code === "number" ? code : undefined,
        type: typeof type === "string" ? type : undefined
      }
    }
  } catch {
    // A proxy's page, say; its text is the message.
  }
  return body === "" ? "no reason given" : body
}

const reasonOf = (
  status: number,
  { code, message }: { readonly message: string; readonly code: string },
  wait: Duration.Duration | undefined
): AiError.AiErrorReason => {
  const description = `HTTP ${status}: ${message}${code === "" ? "" : ` [${code}]`}`
  switch (status) {
    case 401:
      return new AiError.AuthenticationError({ kind: "InvalidKey", description })
    case 403:
      return new AiError.AuthenticationError({ kind: "InsufficientPermissions", description })
    case 402:
      return new AiError.QuotaExhaustedError({})
    case 429:
      return code === "insufficient_quota"
        ? new AiError.QuotaExhaustedError({})
        : new AiError.RateLimitError({ retryAfter: wait })
    case 408:
    case 409:
    case 425:
      return new AiError.InternalProviderError({ description })
  }
  if (status < 500) return new AiError.InvalidRequestError({ description })
  // Overloaded with a time to come back is a rate limit in all but name.
  return wait === undefined
    ? new AiError.InternalProviderError({ description })
    : new AiError.RateLimitError({ retryAfter: wait })
}

/** The failure of an answer with another status than 2xx. */
export const fromStatus = (method: string, response: HttpClientResponse.HttpClientResponse, scrub: Scrub) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const body = yield* Effect.orElseSucceed(response.text, () => "")
    const { code, message } = describe(parseFailure(body))
    const failure = { code, message: scrub(message).slice(0, maxBody) }
    return yield* fail(method, reasonOf(response.status, failure, retryAfter(response.headers, now)))
  })

/** The failure of a request that had no answer, or whose answer broke off. */
export const fromClient = (method: string, error: HttpClientError.HttpClientError, scrub: Scrub) =>
  fail(
    method,
    error.reason._tag === "EncodeError" || error.reason._tag === "InvalidUrlError"
      ? new AiError.NetworkError({
          reason: error.reason._tag,
          method: error.request.method,
          url: scrub(error.request.url),
          description: scrub(error.message)
        })
      : new AiError.NetworkError({
          reason: "TransportError",
          method: error.request.method,
          url: scrub(error.request.url),
          description: scrub(error.message)
        })
  )
