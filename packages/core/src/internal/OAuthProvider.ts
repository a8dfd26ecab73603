/** What the SDK's authorisation is told, and what it found out: one for each attempt, thrown away with it. */
import {
  type AddClientAuthentication,
  createPrivateKeyJwtAuth,
  discoverAndRequestJwtAuthGrant,
  type DpopSession,
  type FetchLike,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  requestJwtAuthorizationGrant,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens
} from "@modelcontextprotocol/client"
import * as Redacted from "effect/Redacted"
import type { ClientProof, OAuth } from "../Authorization.ts"
import type { RegisteredClient } from "../TokenStore.ts"
import { isPrivate } from "./trustedAddress.ts"

const jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

export interface Asked {
  readonly auth: OAuth
  readonly fetch: FetchLike
  /** The client as it is known from before, if it is. */
  readonly client: RegisteredClient | undefined
  /** The assertions of `auth`, read at the start of the attempt. */
  readonly assertions: ReadonlyMap<object, string>
  readonly redirectUrl: URL | undefined
  readonly state: string
  readonly dpop: DpopSession | undefined
}

export interface Attempt {
  readonly provider: OAuthClientProvider
  readonly found: {
    tokens: StoredOAuthTokens | undefined
    client: StoredOAuthClientInformation | undefined
    /** Where a person is to be sent. */
    address: URL | undefined
    verifier: string | undefined
    /** The scope that was asked for. */
    scope: string | undefined
    discovery: OAuthDiscoveryState | undefined
  }
}

const methods = { basic: "client_secret_basic", post: "client_secret_post" } as const

/** The client as the SDK wants it: given with the configuration, or registered before. */
export const clientInformation = (
  auth: OAuth,
  known: RegisteredClient | undefined
): StoredOAuthClientInformation | undefined => {
  const { client } = auth
  if (client !== undefined) {
    const { proof } = client
    // Without a configured issuer, the first one that was used is the only one that may see the secret.
    const issuer = auth.issuer ?? (known?.clientId === client.id ? known.issuer : undefined)
    const method = proof._tag === "Secret" && proof.method !== undefined ? methods[proof.method] : undefined
    return {
      client_id: client.id,
      ...(proof._tag === "Secret" ? { client_secret: Redacted.value(proof.secret) } : {}),
      ...(method === undefined ? {} : { token_endpoint_auth_method: method }),
      ...(issuer === undefined ? {} : { issuer })
    }
  }
  if (known === undefined) return undefined
  return {
    client_id: known.clientId,
    ...(known.clientSecret === undefined ? {} : { client_secret: Redacted.value(known.clientSecret) }),
    ...(known.authentication === undefined ? {} : { token_endpoint_auth_method: known.authentication }),
    issuer: known.issuer
  }
}

/** How the client proves itself where a secret in the usual places is not it. */
export const clientAuthentication = (
  proof: ClientProof | undefined,
  id: string,
  assertions: ReadonlyMap<object, string>
): AddClientAuthentication | undefined => {
  if (proof?._tag === "PrivateKey") {
    const text = Redacted.value(proof.key)
    const key = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : text
    return createPrivateKeyJwtAuth({ issuer: id, subject: id, privateKey: key, alg: proof.algorithm })
  }
  if (proof?._tag !== "Assertion") return undefined
  const assertion = assertions.get(proof.assertion) ?? ""
  return (_headers, params) => {
    params.set("client_assertion", assertion)
    params.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
  }
}

const metadata = (auth: OAuth, redirectUrl: URL | undefined): OAuthClientMetadata => ({
  client_name: auth._tag === "Code" ? auth.clientName : "scoped-mcp",
  redirect_uris: redirectUrl === undefined ? [] : [redirectUrl.href],
  grant_types:
    auth._tag === "Code"
      ? ["authorization_code", "refresh_token"]
      : [auth._tag === "ClientCredentials" ? "client_credentials" : jwtBearerGrant],
  ...(auth._tag === "Code" ? { response_types: ["code"] } : {}),
  ...(auth.scope === undefined ? {} : { scope: auth.scope })
})

const unused = (what: string) => (): never => {
  throw new Error(`${what} is not part of this grant`)
}

export const make = (asked: Asked): Attempt => {
  const { auth, redirectUrl } = asked
  const found: Attempt["found"] = {
    tokens: undefined,
    client: clientInformation(auth, asked.client),
    address: undefined,
    verifier: undefined,
    scope: undefined,
    discovery: undefined
  }
  let issuer = ""
  let resource = ""

  const grant = async (): Promise<Record<string, string>> => {
    if (auth._tag === "ClientCredentials") return { grant_type: "client_credentials" }
    if (auth._tag === "JwtBearer") {
      return { grant_type: jwtBearerGrant, assertion: asked.assertions.get(auth.assertion) ?? "" }
    }
    if (auth._tag === "Code") return unused("a token request")()
    if (resource === "") throw new Error("the server does not say which resource it is, which this grant needs")
    const { idp } = auth
    const exchange = {
      audience: issuer,
      resource,
      idToken: asked.assertions.get(idp.idToken) ?? "",
      clientId: idp.clientId,
      ...(idp.clientSecret === undefined ? {} : { clientSecret: Redacted.value(idp.clientSecret) }),
      ...(found.scope === undefined ? {} : { scope: found.scope }),
      fetchFn: asked.fetch
    }
    const { jwtAuthGrant } = await ("issuer" in idp.at
      ? discoverAndRequestJwtAuthGrant({ ...exchange, idpUrl: idp.at.issuer })
      : requestJwtAuthorizationGrant({ ...exchange, tokenEndpoint: idp.at.tokenEndpoint }))
    return { grant_type: jwtBearerGrant, assertion: jwtAuthGrant }
  }

  const authentication =
    auth.client === undefined ? undefined : clientAuthentication(auth.client.proof, auth.client.id, asked.assertions)

  const provider: OAuthClientProvider = {
    get redirectUrl() {
      return redirectUrl
    },
    get clientMetadata() {
      return metadata(auth, redirectUrl)
    },
    ...(auth._tag === "Code" && auth.clientMetadataUrl !== undefined
      ? { clientMetadataUrl: auth.clientMetadataUrl }
      : {}),
    state: () => asked.state,
    clientInformation: () => found.client,
    // A client that was given cannot be registered anew.
    ...(auth.client === undefined
      ? {
          saveClientInformation: (client: StoredOAuthClientInformation) => {
            found.client = client
          }
        }
      : {}),
    // The SDK takes any failure to refresh as a reason to ask a person; we refresh ourselves.
    tokens: () => undefined,
    saveTokens: (tokens) => {
      found.tokens = tokens
    },
    redirectToAuthorization: (url) => {
      // A machine opens more than pages.
      if (!isPrivate(url)) throw new Error("the page for a person's consent is neither https: nor on this machine")
      found.address = url
      found.scope = url.searchParams.get("scope") ?? undefined
    },
    saveCodeVerifier: (verifier) => {
      found.verifier = verifier
    },
    codeVerifier: () => found.verifier ?? unused("a code verifier")(),
    saveAuthorizationServerUrl: (url) => {
      issuer = url
    },
    saveResourceUrl: (url) => {
      resource = url
    },
    saveDiscoveryState: (state) => {
      found.discovery = state
    },
    // Only while a person is away: a server that has moved to another authorisation server is noticed by the next attempt.
    discoveryState: () => (found.address === undefined ? undefined : found.discovery),
    ...(authentication === undefined ? {} : { addClientAuthentication: authentication }),
    ...(asked.dpop === undefined ? {} : { dpop: () => asked.dpop }),
    ...(auth._tag === "Code"
      ? {}
      : {
          prepareTokenRequest: async (scope?: string) => {
            found.scope = scope
            return new URLSearchParams({ ...(await grant()), ...(scope === undefined ? {} : { scope }) })
          }
        })
  }
  return { provider, found }
}
