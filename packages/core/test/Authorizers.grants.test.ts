import { assert, describe, it } from "@effect/vitest"
import { Authorization, Authorizers, ServerConfig } from "@scoped-mcp/core"
import { Effect, FileSystem, Redacted } from "effect"
import { FakeOAuth, FakePerson, refusal } from "./support/oauth.ts"

const issuer = "https://login.example"
const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

/** Meets a refusal, and answers with the headers of the next request. */
const obtain = (auth: Authorization.OAuth) =>
  Effect.gen(function* () {
    const authorizers = yield* Authorizers.make
    const config = ServerConfig.http({ url: "https://mcp.example/mcp", auth })
    const authorized = yield* authorizers.get("web", { ...config, auth })
    const request = { method: "POST", url: new URL("https://mcp.example/mcp?q=1") }
    const { generation, headers } = yield* authorized.headers(request)
    assert.deepStrictEqual(headers, {})
    yield* authorized.refused({ status: 401, challenge: undefined, generation, nonce: undefined })
    return { authorized, request, ...(yield* authorized.headers(request)) }
  })

const withServer = <A, E>(
  body: (oauth: FakeOAuth, person: FakePerson) => Effect.Effect<A, E, Effect.Services<ReturnType<typeof obtain>>>
) =>
  Effect.suspend(() => {
    const oauth = new FakeOAuth()
    const person = new FakePerson()
    person.onOpen = () => ({ code: "code-canary-1" })
    return body(oauth, person).pipe(Effect.scoped, Effect.provide(oauth.layer), Effect.provide(person.withBrowser))
  })

const basic = (id: string, secret: string) => `Basic ${btoa(`${id}:${secret}`)}`

const payload = (jwt: string) => JSON.parse(atob(jwt.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")))

const jwk = Effect.promise(async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"])
  return JSON.stringify(await crypto.subtle.exportKey("jwk", pair.privateKey))
})

describe("Authorizers: grants without a person", () => {
  it.effect.each(["basic", "post"] as const)("shows a secret of the client by %s", (method) =>
    withServer((oauth) =>
      Effect.gen(function* () {
        oauth.metadata = { token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"] }
        const { headers } = yield* obtain(
          Authorization.clientCredentials({
            clientId: "c",
            clientSecret: "s3cret-canary",
            clientAuthentication: method,
            issuer,
            scope: "x"
          })
        )
        assert.deepStrictEqual(headers, { authorization: "Bearer access-canary-1" })
        const [token] = oauth.to("/token")
        assert.include(token!.form, { grant_type: "client_credentials", scope: "x", resource: oauth.server })
        assert.strictEqual(token!.headers.get("authorization"), method === "basic" ? basic("c", "s3cret-canary") : null)
        assert.strictEqual(token!.form["client_secret"], method === "post" ? "s3cret-canary" : undefined)
        assert.isEmpty(oauth.to("/register"))
      })
    )
  )

  it.effect("signs an assertion with the client's key, for its authorisation server only", () =>
    withServer((oauth) =>
      Effect.gen(function* () {
        yield* obtain(
          Authorization.privateKeyJwt({ clientId: "c", privateKey: yield* jwk, algorithm: "ES256", issuer })
        )
        const { form } = oauth.to("/token")[0]!
        assert.strictEqual(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        assert.deepInclude(payload(form["client_assertion"]!), { iss: "c", sub: "c", aud: issuer })
      })
    )
  )

  it.effect("shows an assertion that somebody else has signed", () =>
    withServer((oauth) =>
      Effect.gen(function* () {
        yield* obtain(
          Authorization.privateKeyJwt({ clientId: "c", assertion: Redacted.make("signed-elsewhere\n"), issuer })
        )
        assert.include(oauth.to("/token")[0]!.form, {
          grant_type: "client_credentials",
          client_assertion: "signed-elsewhere"
        })
      })
    )
  )

  it.effect("reads the token of a workload anew each time, and asks once when it is refused", () =>
    withServer((oauth) =>
      Effect.gen(function* () {
        let content = "first-canary-token\n"
        oauth.onToken = () => refusal("unauthorized_client", 400, `${content.trim()} is not known`)
        const auth = Authorization.jwtBearer({ clientId: "w", assertion: { file: "/var/run/token" }, issuer })
        const files = FileSystem.layerNoop({ readFileString: () => Effect.sync(() => content) })
        const { reason } = yield* obtain(auth).pipe(Effect.provide(files), Effect.flip)
        assert.deepInclude(reason, {
          _tag: "AuthorizationFailed",
          step: "Token",
          code: "unauthorized_client",
          detail: "<redacted> is not known"
        })
        assert.lengthOf(oauth.to("/token"), 1)
        content = "second-canary-token"
        oauth.onToken = () => undefined
        yield* obtain(auth).pipe(Effect.provide(files))
        assert.include(oauth.to("/token")[1]!.form, {
          grant_type: jwtBearer,
          assertion: "second-canary-token",
          client_id: "w"
        })
      })
    )
  )

  it.effect("exchanges a person's identity token for a grant, and that for tokens", () =>
    withServer((oauth) =>
      Effect.gen(function* () {
        oauth.onToken = ({ form, origin }) =>
          origin === "https://idp.example" && form["grant_type"] !== undefined
            ? Response.json({
                access_token: "grant-canary",
                token_type: "N_A",
                issued_token_type: "urn:ietf:params:oauth:token-type:id-jag"
              })
            : undefined
        const { authorized } = yield* obtain(
          Authorization.enterpriseManaged({
            clientId: "c",
            clientSecret: "s3cret-canary",
            issuer,
            scope: "read",
            idp: { issuer: "https://idp.example", clientId: "at-idp", clientSecret: "idp-canary", idToken: "id-canary" }
          })
        )
        const [exchange, token] = oauth.to("/token")
        assert.deepStrictEqual(exchange!.form, {
          grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
          requested_token_type: "urn:ietf:params:oauth:token-type:id-jag",
          audience: issuer,
          resource: oauth.server,
          subject_token: "id-canary",
          subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
          client_id: "at-idp",
          client_secret: "idp-canary",
          scope: "read"
        })
        assert.include(token!.form, { grant_type: jwtBearer, assertion: "grant-canary" })
        assert.strictEqual(token!.headers.get("authorization"), basic("c", "s3cret-canary"))
        assert.include(authorized.secrets(), "grant-canary")
      })
    )
  )

  it.effect("shows a secret to no other authorisation server than the one it is for", () =>
    withServer((oauth) =>
      Effect.gen(function* () {
        oauth.issuer = "https://evil.example"
        const { reason } = yield* Effect.flip(
          obtain(Authorization.clientCredentials({ clientId: "c", clientSecret: "s3cret-canary", issuer }))
        )
        assert.deepInclude(reason, { _tag: "AuthorizationFailed", step: "Token", transient: false })
        assert.match(reason.message, /bound to "https:\/\/login.example"/)
        assert.isEmpty(oauth.to("/token"))
      })
    )
  )

  it.effect("remembers the first authorisation server for a secret that is for none in particular", () =>
    withServer((oauth) =>
      Effect.gen(function* () {
        const { authorized, generation } = yield* obtain(
          Authorization.clientCredentials({ clientId: "c", clientSecret: "s3cret-canary" })
        )
        oauth.issuer = "https://evil.example"
        const refused = authorized.refused({ status: 401, challenge: undefined, generation, nonce: undefined })
        assert.propertyVal((yield* Effect.flip(refused)).reason, "_tag", "AuthorizationFailed")
        assert.isEmpty(oauth.asked.filter(({ origin, path }) => origin === "https://evil.example" && path === "/token"))
      })
    )
  )

  it.effect.each(["http://10.0.0.8", "http://127.0.0.1:9", "https://127.0.0.1:9"])(
    "does not ask %s on behalf of a server elsewhere, unless the configuration names it",
    (inside) =>
      withServer((oauth) =>
        Effect.gen(function* () {
          oauth.issuer = inside
          const auth = (issuer?: string) =>
            Authorization.clientCredentials({ clientId: "c", clientSecret: "s3cret-canary", issuer })
          const { reason } = yield* Effect.flip(obtain(auth()))
          assert.deepInclude(reason, { _tag: "AuthorizationFailed", transient: false })
          assert.match(reason.message, /is not asked/)
          const asked = () => oauth.asked.filter(({ origin }) => origin === inside)
          assert.isEmpty(asked())
          yield* Effect.exit(obtain(auth(inside)))
          assert.isNotEmpty(asked())
        })
      )
  )

  it.effect("does not ask for the documents of a machine that a server likes to have asked", () =>
    withServer((oauth) =>
      Effect.gen(function* () {
        const authorizers = yield* Authorizers.make
        const auth = Authorization.clientCredentials({ clientId: "c", clientSecret: "s3cret-canary" })
        const authorized = yield* authorizers.get("web", { ...ServerConfig.http({ url: oauth.server, auth }), auth })
        const challenge = `Bearer resource_metadata="http://169.254.169.254/latest"`
        yield* authorized.refused({ status: 401, challenge, generation: 0, nonce: undefined })
        assert.isEmpty(oauth.asked.filter(({ origin }) => origin.includes("169.254")))
      })
    )
  )
})

describe("Authorizers: tokens bound to a key", () => {
  it.effect("proves the key to the token endpoint and with every request, with the nonces that are wanted", () =>
    withServer((oauth) =>
      Effect.gen(function* () {
        oauth.tokenType = "DPoP"
        oauth.onToken = ({ headers }) =>
          payload(headers.get("dpop") ?? "")["nonce"] === "nonce-as"
            ? undefined
            : new Response(JSON.stringify({ error: "use_dpop_nonce" }), {
                status: 400,
                headers: { "dpop-nonce": "nonce-as" }
              })
        const { authorized, generation, headers, request } = yield* obtain(Authorization.code({ dpop: true }))
        assert.lengthOf(oauth.to("/token"), 2)
        assert.strictEqual(headers["authorization"], "DPoP access-canary-1")
        const proof = payload(headers["dpop"]!)
        assert.deepInclude(proof, { htm: "POST", htu: "https://mcp.example/mcp" })
        assert.isString(proof["ath"])
        yield* authorized.refused({
          status: 401,
          challenge: `DPoP error="use_dpop_nonce"`,
          generation,
          nonce: "nonce-rs"
        })
        const again = payload((yield* authorized.headers(request)).headers["dpop"]!)
        assert.strictEqual(again["nonce"], "nonce-rs")
        assert.notStrictEqual(again["jti"], proof["jti"])
        // A nonce is no reason for other tokens.
        assert.lengthOf(oauth.to("/token"), 2)
      })
    )
  )
})
