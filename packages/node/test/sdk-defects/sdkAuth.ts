/** How the SDK is given its tokens. */
import {
  ClientCredentialsProvider,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens
} from "@modelcontextprotocol/client"
import type { Auth } from "./Subject.ts"

/** Keeps everything, as the SDK's documentation asks; the person's browser is followed to where it is sent back. */
export class Person implements OAuthClientProvider {
  readonly redirectUrl = "http://127.0.0.1:9/callback"
  readonly clientMetadata = { client_name: "plain", redirect_uris: [this.redirectUrl] }
  sentBack = new URLSearchParams()
  #client: StoredOAuthClientInformation | undefined
  #tokens: StoredOAuthTokens | undefined
  #discovery: OAuthDiscoveryState | undefined
  #verifier = ""

  clientInformation() {
    return this.#client
  }
  saveClientInformation(client: StoredOAuthClientInformation) {
    this.#client = client
  }
  tokens() {
    return this.#tokens
  }
  saveTokens(tokens: StoredOAuthTokens) {
    this.#tokens = tokens
  }
  codeVerifier() {
    return this.#verifier
  }
  saveCodeVerifier(verifier: string) {
    this.#verifier = verifier
  }
  discoveryState() {
    return this.#discovery
  }
  saveDiscoveryState(state: OAuthDiscoveryState) {
    this.#discovery = state
  }
  async redirectToAuthorization(url: URL) {
    const response = await fetch(url, { redirect: "manual" })
    this.sentBack = new URL(response.headers.get("location") ?? "").searchParams
  }
}

export const providerOf = (auth: Auth): OAuthClientProvider =>
  auth._tag === "Person"
    ? new Person()
    : new ClientCredentialsProvider({ clientId: auth.id, clientSecret: auth.secret, expectedIssuer: auth.issuer })
