/**
 * Tells the authorisation server that tokens are not used any more (RFC 7009). It is asked once and need not agree: the
 * tokens are forgotten here in any case.
 */
import {
  assertSecureTokenEndpoint,
  discoverOAuthServerInfo,
  selectClientAuthMethod,
  type StoredOAuthClientInformation
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { StoredCredential } from "../TokenStore.ts"
import * as assertions from "./assertions.ts"
import { type OAuthEnv, run } from "./OAuthEnv.ts"
import { clientAuthentication, clientInformation } from "./OAuthProvider.ts"

const prove = (
  client: StoredOAuthClientInformation,
  supported: ReadonlyArray<string>,
  headers: Headers,
  body: URLSearchParams
) => {
  const method = selectClientAuthMethod(client, [...supported])
  if (method === "client_secret_basic") {
    headers.set("authorization", `Basic ${btoa(`${client.client_id}:${client.client_secret ?? ""}`)}`)
    return
  }
  body.set("client_id", client.client_id)
  if (method === "client_secret_post") body.set("client_secret", client.client_secret ?? "")
}

export const revoke = Effect.fnUntraced(
  function* (env: OAuthEnv, credential: StoredCredential) {
    const { auth } = env
    const client = clientInformation(auth, credential.client)
    const { tokens } = credential
    if (client === undefined || tokens === undefined) return false
    const texts = yield* assertions.read(env)
    const prover =
      auth.client === undefined ? undefined : clientAuthentication(auth.client.proof, auth.client.id, texts)
    return yield* run(env, "Token", async (fetch) => {
      const { authorizationServerMetadata: metadata } = await discoverOAuthServerInfo(env.url, { fetchFn: fetch })
      const endpoint: unknown =
        metadata === undefined ? undefined : metadata["revocation_endpoint" as keyof typeof metadata]
      if (metadata === undefined || typeof endpoint !== "string" || metadata.issuer !== tokens.issuer) return false
      const url = assertSecureTokenEndpoint(endpoint)
      // With a refresh token everything that came from it ends as well.
      const which = tokens.refreshToken === undefined ? "access_token" : "refresh_token"
      const body = new URLSearchParams({
        token: Redacted.value(tokens.refreshToken ?? tokens.accessToken),
        token_type_hint: which
      })
      const headers = new Headers({ "content-type": "application/x-www-form-urlencoded" })
      if (prover === undefined) prove(client, metadata.token_endpoint_auth_methods_supported ?? [], headers, body)
      else await prover(headers, body, url, metadata)
      const response = await fetch(url, { method: "POST", headers, body, redirect: "error" })
      return response.ok
    })
  },
  (effect, env) =>
    Effect.catch(effect, (error) => Effect.as(Effect.logInfo(`${env.server} did not revoke: ${error.detail}`), false))
)
