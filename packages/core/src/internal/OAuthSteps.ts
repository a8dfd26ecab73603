/** The steps of an authorisation as effects: each has its limit, its typed failure, and ends its requests with itself. */
import {
  auth as authorise,
  discoverOAuthServerInfo,
  type FetchLike,
  type OAuthServerInfo,
  type OAuthTokens,
  refreshAuthorization,
  selectResourceURL,
  validateAuthorizationResponseIssuer
} from "@modelcontextprotocol/client"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { AuthorizationFailed } from "../McpError.ts"
import type { RegisteredClient, Tokens } from "../TokenStore.ts"
import * as assertions from "./assertions.ts"
import { failed, type OAuthEnv, run } from "./OAuthEnv.ts"
import { Refused } from "./OAuthFetch.ts"
import * as OAuthProvider from "./OAuthProvider.ts"

export interface Wanted {
  readonly client: RegisteredClient | undefined
  readonly scope: string | undefined
  readonly resourceMetadataUrl: URL | undefined
}

export interface Obtained {
  readonly tokens: Tokens
  readonly client: RegisteredClient | undefined
  readonly scope: string | undefined
}

const sameIssuer = (a: string, b: string): boolean => a.replace(/\/$/, "") === b.replace(/\/$/, "")

const issuerOf = (info: OAuthServerInfo): string =>
  info.authorizationServerMetadata?.issuer ?? info.authorizationServerUrl

const toTokens = (tokens: OAuthTokens, issuer: string, scope: string | undefined, now: number): Tokens => ({
  accessToken: Redacted.make(tokens.access_token),
  refreshToken: tokens.refresh_token === undefined ? undefined : Redacted.make(tokens.refresh_token),
  tokenType: tokens.token_type,
  // Left out, it is what was asked for (RFC 6749, 5.1).
  scope: tokens.scope ?? scope,
  issuer,
  obtainedAt: now,
  expiresAt: tokens.expires_in === undefined ? undefined : now + tokens.expires_in * 1000
})

const discover = (env: OAuthEnv, wanted: Wanted, fetchFn: FetchLike) =>
  discoverOAuthServerInfo(env.url, {
    fetchFn,
    ...(wanted.resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl: wanted.resourceMetadataUrl })
  })

/** Asks for tokens with the refresh token at hand; `invalid_grant` when they belong to another authorisation server. */
export const refresh = Effect.fnUntraced(function* (
  env: OAuthEnv,
  wanted: Wanted,
  before: Tokens,
  refreshToken: Redacted.Redacted<string>
): Effect.fn.Return<Obtained, AuthorizationFailed> {
  const dpop = yield* env.dpop
  const texts = yield* assertions.read(env)
  const { issuer, tokens } = yield* run(env, "Refresh", async (fetchFn) => {
    const info = await discover(env, wanted, fetchFn)
    const issuer = issuerOf(info)
    const { provider, found } = OAuthProvider.make({
      auth: env.auth,
      fetch: fetchFn,
      client: wanted.client,
      assertions: texts,
      redirectUrl: undefined,
      state: "",
      dpop
    })
    if (
      !sameIssuer(before.issuer, issuer) ||
      (found.client?.issuer !== undefined && !sameIssuer(found.client.issuer, issuer))
    ) {
      throw new Refused(400, "invalid_grant", "the server has another authorisation server now")
    }
    if (found.client === undefined) throw new Refused(400, "invalid_grant", "the client is not known any more")
    const selected = await selectResourceURL(env.url, provider, info.resourceMetadata)
    const resource = selected === undefined ? undefined : (info.resourceMetadata?.resource ?? selected)
    const tokens = await refreshAuthorization(info.authorizationServerUrl, {
      clientInformation: found.client,
      refreshToken: Redacted.value(refreshToken),
      fetchFn,
      ...(info.authorizationServerMetadata === undefined ? {} : { metadata: info.authorizationServerMetadata }),
      ...(resource === undefined ? {} : { resource }),
      ...(provider.addClientAuthentication === undefined
        ? {}
        : { addClientAuthentication: provider.addClientAuthentication }),
      ...(dpop === undefined ? {} : { dpop })
    })
    return { issuer, tokens }
  })
  const now = yield* Clock.currentTimeMillis
  return { tokens: toTokens(tokens, issuer, before.scope, now), client: wanted.client, scope: before.scope }
})

const obtained = (
  env: OAuthEnv,
  attempt: OAuthProvider.Attempt,
  redirectUrl: URL | undefined
): Effect.Effect<Obtained, AuthorizationFailed> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const { client, scope, tokens } = attempt.found
    if (tokens === undefined) return Effect.fail(failed(env, "Token", new Error("no tokens came")))
    const issuer = tokens.issuer ?? ""
    const { auth } = env
    // One that describes itself at an address is bound to no port.
    const registered =
      auth.client === undefined && !(auth._tag === "Code" && client?.client_id === auth.clientMetadataUrl)
    const known: RegisteredClient | undefined =
      client === undefined
        ? undefined
        : {
            clientId: client.client_id,
            issuer,
            // A secret of the configuration is not stored.
            clientSecret:
              auth.client !== undefined || client.client_secret === undefined
                ? undefined
                : Redacted.make(client.client_secret),
            authentication: "token_endpoint_auth_method" in client ? client.token_endpoint_auth_method : undefined,
            redirectUrl: registered ? redirectUrl?.href : undefined
          }
    return Effect.succeed({ tokens: toTokens(tokens, issuer, scope, now), client: known, scope })
  })

const options = (env: OAuthEnv, wanted: Wanted, fetchFn: FetchLike) => ({
  serverUrl: env.url,
  fetchFn,
  ...(wanted.scope === undefined ? {} : { scope: wanted.scope }),
  ...(wanted.resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl: wanted.resourceMetadataUrl })
})

/** Asks for tokens without a person. */
export const grant = Effect.fnUntraced(function* (
  env: OAuthEnv,
  wanted: Wanted
): Effect.fn.Return<Obtained, AuthorizationFailed> {
  const dpop = yield* env.dpop
  const texts = yield* assertions.read(env)
  const attempt = yield* run(env, "Token", async (fetch) => {
    const attempt = OAuthProvider.make({
      auth: env.auth,
      fetch,
      client: wanted.client,
      assertions: texts,
      redirectUrl: undefined,
      state: "",
      dpop
    })
    await authorise(attempt.provider, options(env, wanted, fetch))
    return attempt
  })
  return yield* obtained(env, attempt, undefined)
})

/** Finds out where a person has to be sent, registering the client if need be. */
export const prepare = Effect.fnUntraced(function* (
  env: OAuthEnv,
  wanted: Wanted,
  redirectUrl: URL,
  state: string
): Effect.fn.Return<{ readonly attempt: OAuthProvider.Attempt; readonly address: URL }, AuthorizationFailed> {
  const dpop = yield* env.dpop
  const texts = yield* assertions.read(env)
  // A registration holds for the address that was registered.
  const registered = wanted.client?.redirectUrl
  const client = registered !== undefined && registered !== redirectUrl.href ? undefined : wanted.client
  const attempt = yield* run(env, "Prepare", async (fetch) => {
    const attempt = OAuthProvider.make({ auth: env.auth, fetch, client, assertions: texts, redirectUrl, state, dpop })
    await authorise(attempt.provider, { ...options(env, wanted, fetch), forceReauthorization: true })
    return attempt
  })
  const { address } = attempt.found
  if (address === undefined) return yield* failed(env, "Prepare", new Error("no page for a person's consent was named"))
  return { attempt, address }
})

/** Redeems what the browser brought back. */
export const exchange = Effect.fnUntraced(function* (
  env: OAuthEnv,
  wanted: Wanted,
  attempt: OAuthProvider.Attempt,
  redirectUrl: URL,
  answer: URLSearchParams
): Effect.fn.Return<Obtained, AuthorizationFailed> {
  const iss = answer.get("iss") ?? undefined
  const metadata = attempt.found.discovery?.authorizationServerMetadata
  const code = answer.get("code") ?? undefined
  if (code === undefined) {
    // Before anything else in it is believed, as it may be another server's.
    yield* Effect.try({
      try: () =>
        validateAuthorizationResponseIssuer({
          iss,
          expectedIssuer: metadata?.issuer,
          issParameterSupported: metadata?.authorization_response_iss_parameter_supported === true
        }),
      catch: (cause) => failed(env, "Consent", cause)
    })
    const refused = answer.get("error") ?? "no_code"
    const said = answer.get("error_description") ?? "it was not allowed"
    return yield* failed(env, "Consent", new Refused(400, refused, said))
  }
  env.learn(code)
  if (attempt.found.verifier !== undefined) env.learn(attempt.found.verifier)
  yield* run(env, "Token", (fetch) => {
    // What is asked for was decided when the person was sent away.
    const { scope: _, ...rest } = options(env, wanted, fetch)
    return authorise(attempt.provider, { ...rest, authorizationCode: code, ...(iss === undefined ? {} : { iss }) })
  })
  return yield* obtained(env, attempt, redirectUrl)
})
