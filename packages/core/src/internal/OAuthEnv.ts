/** What the steps of one credential's authorisations share: their limit, and how their failures are told. */
import { type DpopSession, type FetchLike, IssuerMismatchError } from "@modelcontextprotocol/client"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { OAuth } from "../Authorization.ts"
import { AuthorizationFailed, type AuthorizationStep } from "../McpError.ts"
import * as OAuthFetch from "./OAuthFetch.ts"
import { mayBeAsked } from "./trustedAddress.ts"

/** What all steps for one credential share. */
export interface OAuthEnv {
  readonly server: string
  readonly url: URL
  readonly auth: OAuth
  readonly fetch: FetchLike
  readonly learn: OAuthFetch.Learn
  readonly scrub: (text: string) => string
  readonly dpop: Effect.Effect<DpopSession | undefined, AuthorizationFailed>
}

const isTransient = (cause: unknown): boolean => {
  if (cause instanceof OAuthFetch.Refused) return cause.status >= 500 || cause.status === 429
  // What a fetch fails with when nobody answers; the SDK says the other for the documents of a server.
  return cause instanceof Error && (cause.cause instanceof Error || /^HTTP 5\d\d\b/.test(cause.message))
}

const detailOf = (cause: unknown): string => {
  // What was received instead is the choice of whoever sent it.
  if (cause instanceof IssuerMismatchError && cause.kind === "authorization_response") {
    return "the answer does not come from the authorisation server that was asked"
  }
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message
}

export const failed = (env: OAuthEnv, step: AuthorizationStep, cause: unknown): AuthorizationFailed => {
  const code = cause instanceof OAuthFetch.Refused ? cause.code : undefined
  return new AuthorizationFailed({
    server: env.server,
    step,
    ...(code === undefined ? {} : { code: env.scrub(code).slice(0, 100) }),
    detail: env.scrub(detailOf(cause)).slice(0, 300),
    transient: isTransient(cause)
  })
}

const configured = (auth: OAuth): ReadonlyArray<string> => [
  ...(auth.issuer === undefined ? [] : [auth.issuer]),
  ...(auth._tag === "EnterpriseManaged" ? Object.values(auth.idp.at) : [])
]

/** One step at the SDK's edge. Interruption and the limit end its requests. */
export const run = <A>(
  env: OAuthEnv,
  step: AuthorizationStep,
  promise: (fetch: FetchLike) => Promise<A>
): Effect.Effect<A, AuthorizationFailed> =>
  Effect.tryPromise({
    try: (signal) =>
      promise(OAuthFetch.make(env.fetch, signal, env.learn, (url) => mayBeAsked(url, env.url, configured(env.auth)))),
    catch: (cause) => failed(env, step, cause)
  }).pipe(
    Effect.timeoutOrElse({
      duration: env.auth.requestTimeout,
      orElse: () =>
        Effect.fail(
          new AuthorizationFailed({
            server: env.server,
            step,
            detail: `no answer within ${Duration.format(env.auth.requestTimeout)} (requestTimeout)`,
            transient: true
          })
        )
    })
  )
