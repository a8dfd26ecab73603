import { assert, describe, it } from "@effect/vitest"
import { Authorization, Authorizers, ServerConfig, TokenStore } from "@scoped-mcp/core"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { vi } from "vitest"
import { FakeOAuth, FakePerson, held, refusal } from "./support/oauth.ts"

const challenge = (rest = "") =>
  `Bearer resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp"${rest}`
const lacking = (scope: string) => challenge(`, error="insufficient_scope", scope="${scope}"`)

/** A connection, as far as its authorisation goes: sends, and sends again what may be. */
const client = (oauth: FakeOAuth, authorized: Authorizers.Authorized, accepted = () => oauth.accessToken) => {
  const sent: Array<string | undefined> = []
  const call = (says = challenge()) =>
    Effect.gen(function* () {
      for (let attempt = 0; attempt < 4; attempt++) {
        const { generation, headers } = yield* authorized.headers({ method: "POST", url: new URL(oauth.server) })
        sent.push(headers["authorization"])
        if (accepted() !== undefined && headers["authorization"] === `${oauth.tokenType} ${accepted()}`) return "ok"
        yield* authorized.refused({ status: 401, challenge: says, generation, nonce: undefined })
      }
      return "given up"
    })
  return { call, sent }
}

const authorized = (auth: Authorization.OAuth, namespace?: string, server = "web") =>
  Effect.gen(function* () {
    const authorizers = yield* Authorizers.make
    const config = ServerConfig.http({ url: "https://mcp.example/mcp", auth })
    return { authorizers, config, ...(yield* authorizers.get(server, { ...config, auth }, namespace)) }
  })

const run = <A, E>(
  body: (oauth: FakeOAuth, person: FakePerson) => Effect.Effect<A, E, Scope.Scope | Layer.Success<FakeOAuth["layer"]>>,
  options: { readonly browser?: boolean } = {}
) =>
  Effect.suspend(() => {
    const oauth = new FakeOAuth()
    const person = new FakePerson()
    return body(oauth, person).pipe(
      Effect.scoped,
      Effect.provide(oauth.layer),
      Effect.provide(options.browser === false ? person.withoutBrowser : person.withBrowser)
    )
  })

const allows = (person: FakePerson, more: Readonly<Record<string, string>> = {}) => {
  person.onOpen = () => ({ code: "code-canary-1", ...more })
}

const credentials = (options: Partial<Authorization.ClientCredentialsOptions> = {}) =>
  Authorization.clientCredentials({
    clientId: "c",
    clientSecret: "secret-canary-1",
    issuer: "https://login.example",
    ...options
  })

describe("Authorizers: a person's consent", () => {
  it.effect("asks a person once, in a browser, and sends what they allowed", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const { call, sent } = client(oauth, yield* authorized(Authorization.code()))
        assert.strictEqual(yield* call(challenge(`, scope="files:read"`)), "ok")
        assert.deepStrictEqual(sent, [undefined, "Bearer access-canary-1"])
        assert.lengthOf(person.opened, 1)
        const page = person.opened[0]!.searchParams
        assert.strictEqual(page.get("state"), person.listening[0]!.state)
        assert.strictEqual(page.get("code_challenge_method"), "S256")
        assert.strictEqual(page.get("scope"), "files:read")
        assert.strictEqual(page.get("client_id"), "client-of-https://login.example")
        const [token] = oauth.to("/token")
        assert.include(token!.form, { grant_type: "authorization_code", code: "code-canary-1", resource: oauth.server })
        assert.strictEqual(page.get("redirect_uri"), token!.form["redirect_uri"])
        // The listener goes with the answer.
        assert.strictEqual(person.closed, 1)
      })
    )
  )

  it.effect("names itself by the address of its description where the server reads such", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        oauth.metadata = { client_id_metadata_document_supported: true }
        const clientMetadataUrl = "https://us.example/client.json"
        const { call } = client(oauth, yield* authorized(Authorization.code({ clientMetadataUrl })))
        assert.strictEqual(yield* call(), "ok")
        assert.strictEqual(person.opened[0]!.searchParams.get("client_id"), clientMetadataUrl)
        assert.isEmpty(oauth.to("/register"))
      })
    )
  )

  it.effect("uses a client that is known to the server, and registers none", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const auth = Authorization.code({
          clientId: "known",
          clientSecret: "secret-canary-1",
          clientAuthentication: "post",
          redirectPort: 7777
        })
        oauth.metadata = { token_endpoint_auth_methods_supported: ["client_secret_post", "client_secret_basic"] }
        const { call } = client(oauth, yield* authorized(auth))
        assert.strictEqual(yield* call(), "ok")
        assert.isEmpty(oauth.to("/register"))
        assert.include(oauth.to("/token")[0]!.form, { client_id: "known", client_secret: "secret-canary-1" })
        assert.strictEqual(person.opened[0]!.searchParams.get("redirect_uri"), "http://127.0.0.1:7777/callback")
      })
    )
  )

  it.effect("says which address to open when there is no browser, and uses what is allowed there later", () =>
    run(
      (oauth, person) =>
        Effect.gen(function* () {
          const { call } = client(oauth, yield* authorized(Authorization.code()))
          const { reason } = yield* Effect.flip(call(challenge(`, scope="files:read"`)))
          assert.deepInclude(reason, {
            _tag: "AuthRequired",
            server: "web",
            status: 401,
            scope: "files:read",
            delivery: "NotSent"
          })
          assert.match(reason.message, /open https:\/\/login\.example\/authorize\?.* and call again/)
          // A second call does not ask for a second address.
          assert.strictEqual((yield* Effect.flip(call())).reason.message, reason.message)
          const redeemed = yield* Deferred.make<void>()
          oauth.onToken = () => void Deferred.doneUnsafe(redeemed, Exit.void)
          person.comeBack({ code: "code-canary-1" })
          yield* Deferred.await(redeemed)
          assert.strictEqual(yield* call(), "ok")
          assert.lengthOf(person.listening, 1)
        }),
      { browser: false }
    )
  )

  it.effect("keeps a call waiting for a person for most of connectTimeout, and the page for longer", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        const shown = yield* Deferred.make<void>()
        person.onOpen = () => void Deferred.doneUnsafe(shown, Exit.void)
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        const waiting = yield* Effect.forkChild(Effect.flip(call()))
        yield* Deferred.await(shown)
        yield* TestClock.adjust("8 seconds")
        assert.propertyVal((yield* Fiber.join(waiting)).reason, "_tag", "AuthRequired")
        yield* TestClock.adjust("2 minutes")
        const redeemed = yield* Deferred.make<void>()
        oauth.onToken = () => void Deferred.doneUnsafe(redeemed, Exit.void)
        person.comeBack({ code: "code-canary-1" })
        yield* Deferred.await(redeemed)
        assert.strictEqual(yield* call(), "ok")
        assert.lengthOf(person.opened, 1)
      })
    )
  )

  it.effect("fails when nobody allows it in time, and does not open a page again for a while", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        let shown = yield* Deferred.make<void>()
        person.onOpen = () => void Deferred.doneUnsafe(shown, Exit.void)
        const { call } = client(oauth, yield* authorized(Authorization.code({ consentTimeout: "3 seconds" })))
        const asking = Effect.gen(function* () {
          const waiting = yield* Effect.forkChild(Effect.flip(call()))
          yield* Deferred.await(shown)
          yield* TestClock.adjust("3 seconds")
          return (yield* Fiber.join(waiting)).reason
        })
        assert.deepInclude(yield* asking, {
          _tag: "AuthorizationFailed",
          step: "Consent",
          detail: "nobody allowed it within 3s (consentTimeout)"
        })
        assert.strictEqual(person.closed, 1)
        assert.propertyVal((yield* Effect.flip(call())).reason, "_tag", "AuthorizationFailed")
        assert.lengthOf(person.opened, 1)
        yield* TestClock.adjust("1 minute")
        shown = yield* Deferred.make<void>()
        assert.propertyVal(yield* asking, "_tag", "AuthorizationFailed")
        assert.lengthOf(person.opened, 2)
        // Twice as long after the second.
        yield* TestClock.adjust("1 minute")
        yield* Effect.flip(call())
        assert.lengthOf(person.opened, 2)
      })
    )
  )

  it.effect("tells that a person has refused", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        person.onOpen = () => ({ error: "access_denied", error_description: "the user said no" })
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        const { reason } = yield* Effect.flip(call())
        assert.deepInclude(reason, {
          _tag: "AuthorizationFailed",
          step: "Consent",
          code: "access_denied",
          detail: "the user said no"
        })
        assert.isEmpty(oauth.to("/token"))
      })
    )
  )

  it.effect.each([
    ["another server's code", { code: "code-canary-1", iss: "https://evil.example" }],
    ["another server's error", { error: "x", error_description: "lies", iss: "https://evil.example" }],
    ["no issuer where one is promised", { code: "code-canary-1" }]
  ] as const)("does not redeem %s", ([, answer]) =>
    run((oauth, person) =>
      Effect.gen(function* () {
        oauth.metadata = { authorization_response_iss_parameter_supported: true }
        person.onOpen = () => answer
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        const { reason } = yield* Effect.flip(call())
        assert.propertyVal(reason, "_tag", "AuthorizationFailed")
        assert.notInclude(JSON.stringify(reason), "evil")
        assert.notInclude(JSON.stringify(reason), "lies")
        assert.isEmpty(oauth.to("/token"))
      })
    )
  )

  it.effect(
    "registers anew with the server that has taken the place of the first, and shows it nothing of the first's",
    () =>
      run((oauth, person) =>
        Effect.gen(function* () {
          allows(person)
          const { call } = client(oauth, yield* authorized(Authorization.code()))
          yield* call()
          oauth.issuer = "https://second.example"
          oauth.accessToken = undefined
          assert.strictEqual(yield* call(), "ok")
          assert.deepStrictEqual(
            oauth.to("/register").map(({ origin }) => origin),
            ["https://login.example", "https://second.example"]
          )
          const seen = JSON.stringify(
            oauth.asked.filter(({ origin }) => origin === "https://second.example").map(({ form }) => form)
          )
          assert.notInclude(seen, "client-of-https://login.example")
          assert.notInclude(seen, "refresh-canary-1")
        })
      )
  )

  it.effect("says of a server where no client can register what to do about it", () =>
    run((oauth) =>
      Effect.gen(function* () {
        oauth.metadata = { registration_endpoint: "https://login.example/nowhere" }
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        const error = yield* Effect.flip(call())
        assert.include(error.message, "looking up its authorisation server or registering there failed")
        assert.include(
          error.message,
          "https://login.example/nowhere answered with HTTP 404 when we registered as a client; give the auth a clientId"
        )
      })
    )
  )

  it.effect("opens only pages, whatever a server names", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        oauth.metadata = { authorization_endpoint: "http://intranet.example/authorize" }
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        assert.deepInclude((yield* Effect.flip(call())).reason, { _tag: "AuthorizationFailed", step: "Prepare" })
        assert.isEmpty(person.opened)
      })
    )
  )
})

describe("Authorizers: renewal", () => {
  it.effect("refreshes once for ten calls that are refused together", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        yield* call()
        oauth.accessToken = "revoked by the server"
        const results = yield* Effect.forEach(Array.from({ length: 10 }), () => call(), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          results,
          Array.from({ length: 10 }, () => "ok")
        )
        assert.deepStrictEqual(
          oauth.to("/token").map(({ form }) => form["grant_type"]),
          ["authorization_code", "refresh_token"]
        )
        assert.lengthOf(person.opened, 1)
      })
    )
  )

  it.effect("asks nothing for a refusal of credentials that are replaced already", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const auth = yield* authorized(Authorization.code())
        yield* client(oauth, auth).call()
        yield* auth.refused({ status: 401, challenge: challenge(), generation: 0, nonce: undefined })
        assert.lengthOf(oauth.to("/token"), 1)
      })
    )
  )

  it.effect("refreshes a minute before the end, while the old token is still used", () =>
    run((oauth) =>
      Effect.gen(function* () {
        const request = held()
        const { call, sent } = client(oauth, yield* authorized(credentials()))
        yield* call()
        yield* TestClock.adjust("3539 seconds")
        yield* call()
        assert.lengthOf(oauth.to("/token"), 1)
        yield* TestClock.adjust("1 second")
        const arrived = yield* Deferred.make<void>()
        oauth.onToken = () => (Deferred.doneUnsafe(arrived, Exit.void), request.answer)
        yield* call()
        yield* call()
        yield* Deferred.await(arrived)
        assert.lengthOf(oauth.to("/token"), 2)
        assert.deepStrictEqual(sent.slice(-2), ["Bearer access-canary-1", "Bearer access-canary-1"])
        request.resolve(oauth.issue())
        oauth.onToken = () => undefined
        yield* TestClock.adjust("61 seconds")
        yield* call()
        assert.strictEqual(sent.at(-1), "Bearer access-canary-2")
      })
    )
  )

  it.effect("waits for the refresh of a token that has run out, once for all calls", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const { call, sent } = client(oauth, yield* authorized(Authorization.code()))
        yield* call()
        yield* TestClock.adjust("2 hours")
        yield* Effect.forEach(Array.from({ length: 10 }), () => call(), { concurrency: "unbounded" })
        assert.lengthOf(oauth.to("/token"), 2)
        assert.deepStrictEqual([...new Set(sent.slice(2))], ["Bearer access-canary-2"])
      })
    )
  )

  it.effect("asks nobody because a server is down, says so, and tries again a second later", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        yield* call()
        oauth.accessToken = undefined
        oauth.onToken = () => refusal("temporarily_unavailable", 503)
        assert.deepInclude((yield* Effect.flip(call())).reason, {
          _tag: "AuthorizationFailed",
          step: "Refresh",
          transient: true,
          delivery: "NotSent"
        })
        oauth.onToken = () => undefined
        assert.propertyVal((yield* Effect.flip(call())).reason, "transient", true)
        assert.lengthOf(oauth.to("/token"), 2)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* call(), "ok")
        assert.lengthOf(person.opened, 1)
      })
    )
  )

  it.effect("asks the person, and at once, when a token has run out and the refresh token is not taken", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        yield* call()
        oauth.accessToken = undefined
        oauth.refreshTokens.clear()
        yield* TestClock.adjust("2 hours")
        assert.strictEqual(yield* call(), "ok")
        assert.deepStrictEqual(
          oauth.to("/token").map(({ form }) => form["grant_type"]),
          ["authorization_code", "refresh_token", "authorization_code"]
        )
      })
    )
  )

  it.effect("asks the person again when the refresh token is not taken any more", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const { call } = client(oauth, yield* authorized(Authorization.code()))
        yield* call()
        oauth.accessToken = undefined
        oauth.refreshTokens.clear()
        assert.strictEqual(yield* call(), "ok")
        assert.lengthOf(person.opened, 2)
        assert.lengthOf(oauth.to("/register"), 1)
      })
    )
  )

  it.effect("gives a silent authorisation server no longer than requestTimeout, and ends the request", () =>
    run((oauth) =>
      Effect.gen(function* () {
        const arrived = yield* Deferred.make<void>()
        oauth.onToken = () => (Deferred.doneUnsafe(arrived, Exit.void), held().answer)
        const { call } = client(oauth, yield* authorized(credentials({ requestTimeout: "20 seconds" })))
        const waiting = yield* Effect.forkChild(Effect.flip(call()))
        yield* Deferred.await(arrived)
        yield* TestClock.adjust("20 seconds")
        assert.deepInclude((yield* Fiber.join(waiting)).reason, {
          _tag: "AuthorizationFailed",
          step: "Token",
          detail: "no answer within 20s (requestTimeout)",
          transient: true
        })
        assert.deepStrictEqual(oauth.aborted, ["/token"])
      })
    )
  )

  it.effect("goes on with a refresh whose caller has given up, and ends it with its owner", () =>
    run((oauth) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const request = held()
        const arrived = yield* Deferred.make<void>()
        oauth.onToken = () => (Deferred.doneUnsafe(arrived, Exit.void), request.answer)
        const { call } = client(oauth, yield* Scope.provide(authorized(credentials()), scope))
        const waiting = yield* Effect.forkChild(call())
        yield* Deferred.await(arrived)
        yield* Fiber.interrupt(waiting)
        assert.isEmpty(oauth.aborted)
        const next = yield* Effect.forkChild(Effect.exit(call()))
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(oauth.aborted, ["/token"])
        assert.isTrue(Exit.isFailure(yield* Fiber.join(next)))
      })
    )
  )

  it.effect("stops asking for credentials that are refused as soon as they are had", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const never = client(oauth, yield* authorized(Authorization.code()), () => "nothing")
        for (let i = 0; i < 10; i++) yield* Effect.exit(never.call())
        const { reason } = yield* Effect.flip(never.call())
        assert.deepInclude(reason, {
          _tag: "AuthRequired",
          detail: "it refuses the credentials that it has just been given"
        })
        assert.lengthOf(oauth.to("/token"), 5)
        assert.lengthOf(person.opened, 1)
      })
    )
  )

  it.effect("takes what another program that shares the store has obtained, and asks for nothing itself", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const one = client(oauth, yield* authorized(Authorization.code()))
        const two = client(oauth, yield* authorized(Authorization.code()))
        yield* one.call()
        yield* two.call()
        oauth.accessToken = undefined
        const results = yield* Effect.all([one.call(), two.call()], { concurrency: "unbounded" })
        assert.deepStrictEqual(results, ["ok", "ok"])
        assert.lengthOf(person.opened, 1)
        assert.lengthOf(oauth.to("/token"), 2)
      }).pipe(Effect.provide(TokenStore.layerMemory))
    )
  )

  it.effect(
    "works without a store that does not, and waits no longer than requestTimeout for one that is in use",
    () => {
      const broken = () => Effect.fail(new TokenStore.TokenStoreError({ key: "k", detail: "the disk is full" }))
      const useless = Layer.succeed(TokenStore.TokenStore, {
        get: broken,
        set: broken,
        remove: broken,
        withLock: () => broken
      })
      return run((oauth, person) =>
        Effect.gen(function* () {
          allows(person)
          const { call } = client(oauth, yield* authorized(Authorization.code()).pipe(Effect.provide(useless)))
          assert.strictEqual(yield* call(), "ok")
          oauth.accessToken = undefined
          assert.strictEqual(yield* call(), "ok")
          assert.lengthOf(person.opened, 1)

          const waits = yield* Deferred.make<void>()
          const inUse = yield* Effect.map(TokenStore.makeMemory, (store) => ({
            ...store,
            withLock: () => () => Effect.andThen(Deferred.succeed(waits, undefined), Effect.never)
          }))
          const other = yield* authorized(Authorization.code()).pipe(
            Effect.provideService(TokenStore.TokenStore, inUse)
          )
          const waiting = yield* Effect.forkChild(Effect.flip(client(oauth, other, () => "nothing").call()))
          yield* Deferred.await(waits)
          yield* TestClock.adjust("20 seconds")
          assert.deepInclude((yield* Fiber.join(waiting)).reason, {
            _tag: "AuthorizationFailed",
            step: "Store",
            transient: true,
            detail: "another program is being authorised for it"
          })
        })
      )
    }
  )

  it.effect("keeps namespaces and accounts apart, in one store", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const acme = client(oauth, yield* authorized(Authorization.code(), "acme"))
        const other = client(oauth, yield* authorized(Authorization.code(), "other"))
        const jane = client(oauth, yield* authorized(Authorization.code({ account: "jane" }), "acme"))
        for (const { call, sent } of [acme, other, jane]) {
          yield* call()
          assert.strictEqual(sent[0], undefined)
        }
        assert.lengthOf(person.opened, 3)
      }).pipe(Effect.provide(TokenStore.layerMemory))
    )
  )
})

describe("Authorizers: asking for more", () => {
  const stepUp = (auth: Authorizers.Authorized, scope: string) =>
    Effect.gen(function* () {
      const { generation } = yield* auth.headers({ method: "POST", url: new URL("https://mcp.example/mcp") })
      yield* auth.refused({ status: 403, challenge: lacking(scope), generation, nonce: undefined })
    })

  it.effect("asks for what is missing together with what there is, and only once", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const auth = yield* authorized(Authorization.code())
        yield* client(oauth, auth).call(challenge(`, scope="read"`))
        yield* stepUp(auth, "write")
        assert.deepStrictEqual(
          person.opened.map((page) => page.searchParams.get("scope")),
          ["read", "read write"]
        )
        const { reason } = yield* Effect.flip(stepUp(auth, "write"))
        assert.deepInclude(reason, { _tag: "AuthRequired", status: 403, scope: "write", delivery: "Answered" })
        assert.lengthOf(person.opened, 2)
      })
    )
  )

  it.effect("gives up on a server that wants ever more", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const auth = yield* authorized(Authorization.code())
        yield* client(oauth, auth).call()
        const outcomes = yield* Effect.forEach(Array.from({ length: 20 }), (_, i) =>
          Effect.exit(stepUp(auth, `scope-${i}`))
        )
        assert.strictEqual(outcomes.filter(Exit.isSuccess).length, 4)
        assert.lengthOf(person.opened, 5)
      })
    )
  )

  it.effect("leaves alone what no credentials would change", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const auth = yield* authorized(Authorization.code())
        yield* client(oauth, auth).call()
        const refused = auth.refused({ status: 403, challenge: undefined, generation: 1, nonce: undefined })
        assert.deepInclude((yield* Effect.flip(refused)).reason, { _tag: "AuthRequired", status: 403 })
        assert.lengthOf(person.opened, 1)
      })
    )
  )
})

describe("Authorizers: what is kept", () => {
  it.effect("forgets a credential, tells the authorisation server, and asks again", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const auth = yield* authorized(Authorization.code())
        const { call } = client(oauth, auth)
        yield* call()
        const [status] = yield* auth.authorizers.credentials
        assert.deepInclude(status, { host: "mcp.example", kind: "Code", state: "Held", namespace: "default" })
        assert.deepStrictEqual(yield* auth.authorizers.forget(auth.config), { found: true, revoked: true })
        assert.deepInclude(oauth.to("/revoke")[0]!.form, { token: "refresh-canary-1" })
        assert.strictEqual((yield* auth.authorizers.credentials)[0]!.state, "None")
        assert.strictEqual(yield* call(), "ok")
        assert.lengthOf(person.opened, 2)
      })
    )
  )

  it.effect("lists no credential any more that nobody has used for ten minutes", () =>
    run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const authorizers = yield* Authorizers.make
        const auth = Authorization.code()
        const config = ServerConfig.http({ url: oauth.server, auth })
        yield* Effect.scoped(
          Effect.flatMap(authorizers.get("web", { ...config, auth }), (it) => client(oauth, it).call())
        )
        assert.lengthOf(yield* authorizers.credentials, 1)
        yield* TestClock.adjust("10 minutes")
        assert.isEmpty(yield* authorizers.credentials)
      })
    )
  )

  it.effect("shows a secret in no error, log or status, whatever a server echoes", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(JSON.stringify(message)))
    // The SDK would write there what a server says.
    const written = vi.spyOn(console, "warn").mockImplementation((...said) => void logged.push(said.join(" ")))
    return run((oauth, person) =>
      Effect.gen(function* () {
        allows(person)
        const auth = yield* authorized(Authorization.code({ clientId: "c", clientSecret: "secret-canary-1" }))
        const { call } = client(oauth, auth)
        yield* call()
        oauth.accessToken = undefined
        oauth.onToken = ({ form, headers }) =>
          refusal(
            "invalid_request",
            400,
            `${JSON.stringify(form)} ${atob(headers.get("authorization")?.slice(6) ?? "")} access-canary-1`
          )
        const failed = yield* Effect.flip(call())
        assert.propertyVal(failed.reason, "_tag", "AuthorizationFailed")
        // Nor half of one, at the end of what is shown.
        yield* TestClock.adjust("1 minute")
        const cut = `${"x".repeat(290)}secret-canary-1`
        oauth.onToken = () => refusal(cut, 400, cut)
        const { reason } = yield* Effect.flip(call())
        assert.notInclude(JSON.stringify(reason), "secret-c")
        const shown = JSON.stringify([failed, failed.message, logged, yield* auth.authorizers.credentials, auth.config])
        assert.notInclude(shown, "canary")
        assert.include(auth.secrets().join(), "access-canary-1")
        assert.strictEqual(written.mock.calls.length, 0)
      }).pipe(Effect.provide(Logger.layer([logger])), Effect.ensuring(Effect.sync(() => written.mockRestore())))
    )
  })
})
