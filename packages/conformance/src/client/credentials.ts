/** How the client under test is authorised in each scenario: with what the scenario gives it, and as a user would write it. */
import { Authorization, AuthorizationBrowser } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type Given, value } from "./Given.ts"

const text = (name: string) => value(name, Schema.String)

/** The document that describes the client; the suite knows this address and asks nobody for it. */
const clientMetadataUrl = "https://conformance-test.local/client-metadata.json"

const code = Effect.succeed(Authorization.code({ clientMetadataUrl }))

type Credentials = Effect.Effect<Authorization.Authorization, Schema.SchemaError, Given>

const preRegistered = Effect.gen(function* () {
  return Authorization.code({ clientId: yield* text("client_id"), clientSecret: yield* text("client_secret") })
})

const clientSecret = Effect.gen(function* () {
  return Authorization.clientCredentials({
    clientId: yield* text("client_id"),
    clientSecret: yield* text("client_secret")
  })
})

const privateKey = Effect.gen(function* () {
  return Authorization.privateKeyJwt({
    clientId: yield* text("client_id"),
    privateKey: yield* text("private_key_pem"),
    algorithm: yield* text("signing_algorithm")
  })
})

const workload = Effect.gen(function* () {
  return Authorization.jwtBearer({ clientId: yield* text("client_id"), assertion: yield* text("valid_jwt") })
})

const enterprise = Effect.gen(function* () {
  return Authorization.enterpriseManaged({
    clientId: yield* text("client_id"),
    clientSecret: yield* text("client_secret"),
    idp: {
      tokenEndpoint: yield* text("idp_token_endpoint"),
      clientId: yield* text("idp_client_id"),
      idToken: yield* text("idp_id_token")
    }
  })
})

const boundToKey = Effect.succeed(Authorization.code({ clientMetadataUrl, dpop: true }))

const special: Readonly<Record<string, Credentials>> = {
  "auth/pre-registration": preRegistered,
  "auth/client-credentials-basic": clientSecret,
  "auth/client-credentials-jwt": privateKey,
  "auth/wif-jwt-bearer": workload,
  "auth/enterprise-managed-authorization": enterprise,
  "auth/dpop": boundToKey,
  "auth/dpop-nonce": boundToKey
}

export const credentials = (scenario: string): Credentials => special[scenario] ?? code

/** A person who allows everything: the page sends their browser back at once. */
export const person = Layer.succeed(AuthorizationBrowser.AuthorizationBrowser, {
  open: (url) =>
    Effect.asVoid(
      Effect.tryPromise({
        try: (signal) => fetch(url, { signal }),
        catch: (cause) => new AuthorizationBrowser.BrowserUnavailable({ detail: String(cause) })
      })
    )
})
