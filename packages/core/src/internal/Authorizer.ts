/**
 * Holds one credential for all the connections that use it: its tokens are refreshed once however many calls need it,
 * shortly before they run out, and a person is asked once.
 *
 * A flight (the attempt to get other tokens) belongs to the credential, not to the call that started it: a call that
 * gives up must not lose a refresh token that the server has already replaced.
 */
import { computeScopeUnion, DpopSession, type FetchLike, isStrictScopeSuperset } from "@modelcontextprotocol/client"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Authorization from "../Authorization.ts"
import { AuthorizationBrowser } from "../AuthorizationBrowser.ts"
import { LoopbackListener } from "../LoopbackListener.ts"
import { AuthorizationFailed, AuthRequired, McpError } from "../McpError.ts"
import type { StoredCredential, TokenStore, Tokens } from "../TokenStore.ts"
import * as Challenge from "./authorizationChallenge.ts"
import type { HttpAuth, Refusal } from "./HttpAuth.ts"
import { failed, type OAuthEnv } from "./OAuthEnv.ts"
import type { Obtained, Wanted } from "./OAuthSteps.ts"
import * as OAuthSteps from "./OAuthSteps.ts"
import * as Redaction from "./redaction.ts"
import * as RenewalGuard from "./RenewalGuard.ts"
import { revoke } from "./revoke.ts"

export interface AuthorizerOptions {
  readonly key: string
  readonly url: URL
  readonly auth: Authorization.OAuth
  readonly fetch: FetchLike
  readonly store: TokenStore["Service"]
}

export interface Authorizer {
  /** As one server sees it: errors carry its name, and a person is waited for no longer than `patience`. */
  readonly face: (server: string, patience: Duration.Duration) => HttpAuth
  readonly secrets: () => ReadonlyArray<string>
  readonly state: () => {
    readonly state: "None" | "Held" | "Asking"
    readonly scope: string | undefined
    readonly expiresAt: number | undefined
  }
  /** Tells the authorisation server and the store, and whether there was anything. */
  readonly forget: Effect.Effect<{ readonly found: boolean; readonly revoked: boolean }>
}

type Failure = AuthorizationFailed | AuthRequired

interface Person {
  readonly address: URL
  readonly scope: string | undefined
  /** Whether a browser shows the page; otherwise somebody has to be told. */
  readonly opened: boolean
}

interface Flight {
  readonly done: Deferred.Deferred<void, Failure>
  readonly person: Deferred.Deferred<Person>
  fiber: Fiber.Fiber<void, Failure> | undefined
  /** A browser was opened for it. */
  opened: boolean
  /** The person has come back, and the rest is between machines. */
  returned: boolean
}

/** Why other tokens are wanted. Only `refused` and `more` may ask a person. */
interface Plan extends Pick<Wanted, "scope" | "resourceMetadataUrl"> {
  readonly why: "due" | "refused" | "more"
}

/** How long a refresh may go on when its owner closes, because the old token may be gone already. On real time. */
const lastWords = Duration.seconds(1)

const realTime = Clock.Clock.defaultValue()

const remembered = 64

const renewAt = ({ expiresAt, obtainedAt }: Tokens): number =>
  expiresAt === undefined ? Infinity : expiresAt - Math.min(60_000, (expiresAt - obtainedAt) / 10)

const randomState = (): string =>
  [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => byte.toString(36)).join("")

export const make = Effect.fnUntraced(function* (
  options: AuthorizerOptions
): Effect.fn.Return<Authorizer, never, Scope.Scope> {
  const { auth, key, store, url } = options
  const context = yield* Effect.context()
  const clock = yield* Clock.Clock
  const browser = yield* Effect.serviceOption(AuthorizationBrowser)
  const listener = yield* Effect.serviceOption(LoopbackListener)
  const guard = RenewalGuard.make()
  const asksPerson = auth._tag === "Code"
  const learned: Array<string> = []
  let held: StoredCredential = {}
  let generation = 0
  /** By this program; what another one asked for may be granted by now. */
  let askedHere: string | undefined
  let flight: Flight | undefined

  const secrets = () => [...Authorization.secrets(auth), ...learned].filter((secret) => secret.length >= 6)
  const learn = (secret: string) => {
    if (learned.includes(secret)) return
    learned.push(secret)
    if (learned.length > remembered) learned.shift()
  }
  const take = (credential: StoredCredential) => {
    const { client, tokens } = credential
    for (const secret of [tokens?.accessToken, tokens?.refreshToken, client?.clientSecret]) {
      if (secret !== undefined) learn(Redacted.value(secret))
    }
    held = credential
    generation++
  }

  const isHeld = (tokens: Tokens) =>
    held.tokens !== undefined && Redacted.value(tokens.accessToken) === Redacted.value(held.tokens.accessToken)

  const session = yield* Effect.cached(
    Effect.tryPromise({ try: () => DpopSession.create(), catch: (cause) => failed(env, "Prepare", cause) })
  )
  const env: OAuthEnv = {
    server: url.host,
    url,
    auth,
    fetch: options.fetch,
    learn,
    scrub: Redaction.make([], secrets),
    dpop: auth.dpop ? session : Effect.succeed(undefined)
  }

  // A store that does not work costs the memory of it, not the work at hand.
  const warned = (what: string) => (error: { readonly message: string }) =>
    Effect.logWarning(`${what} the credential for ${url.host}: ${env.scrub(error.message)}`)
  const read = store
    .get(key)
    .pipe(Effect.catch((error) => Effect.as(warned("Could not read")(error), Option.none<StoredCredential>())))
  // A token that is bound to our key is of no use to another program.
  const save = (credential: StoredCredential) =>
    Effect.catch(
      store.set(key, auth.dpop ? { ...credential, tokens: undefined } : credential),
      warned("Could not keep")
    )

  const loaded = yield* Effect.cached(
    Effect.map(read, (stored) => {
      if (Option.isNone(stored)) return
      if (stored.value.tokens === undefined) held = stored.value
      else take(stored.value)
    })
  )

  const commit = Effect.fnUntraced(function* (obtained: Obtained, plan: Plan, asked: RenewalGuard.Asked) {
    askedHere = computeScopeUnion(askedHere, obtained.scope)
    take({
      tokens: obtained.tokens,
      client: obtained.client ?? held.client,
      askedScope: computeScopeUnion(held.askedScope, obtained.scope)
    })
    if (plan.why !== "due") guard.had(yield* Clock.currentTimeMillis, asked)
    yield* save(held)
  })

  const obtain = Effect.fnUntraced(function* (mine: Flight, wanted: Wanted) {
    if (auth._tag !== "Code") return yield* OAuthSteps.grant(env, wanted)
    if (Option.isNone(listener)) {
      return yield* failed(env, "Consent", new Error("there is no LoopbackListener for the browser to come back to"))
    }
    const state = randomState()
    const listen = (port: number) => listener.value.listen({ port, path: auth.redirectPath, state })
    // The port that was registered, if it is free: not every server takes another one.
    const registered = wanted.client?.redirectUrl
    const before = auth.redirectPort === 0 && registered !== undefined ? Number(new URL(registered).port) : 0
    const listening = yield* (
      before === 0 ? listen(auth.redirectPort) : Effect.catch(listen(before), () => listen(0))
    ).pipe(Effect.mapError((cause) => failed(env, "Consent", cause)))
    const { address, attempt } = yield* OAuthSteps.prepare(env, wanted, listening.redirectUrl, state)
    const opened = Option.isNone(browser)
      ? false
      : yield* browser.value.open(address, url.host).pipe(
          Effect.as(true),
          Effect.catch((error) => Effect.as(Effect.logWarning(env.scrub(error.message)), false))
        )
    mine.opened = opened
    yield* Deferred.succeed(mine.person, { address, scope: attempt.found.scope, opened })
    const answer = yield* Effect.timeoutOrElse(listening.callback, {
      duration: auth.consentTimeout,
      orElse: () =>
        failed(
          env,
          "Consent",
          new Error(`nobody allowed it within ${Duration.format(auth.consentTimeout)} (consentTimeout)`)
        )
    })
    mine.returned = true
    return yield* OAuthSteps.exchange(env, wanted, attempt, listening.redirectUrl, answer)
  }, Effect.scoped)

  const attempt = Effect.fnUntraced(function* (mine: Flight, plan: Plan) {
    const stored = Option.getOrUndefined(yield* read)
    const other = stored?.tokens
    if (stored !== undefined && other !== undefined && !isHeld(other)) {
      // Another program was faster; ours are replaced by now.
      take(stored)
      const covered = plan.why !== "more" || !isStrictScopeSuperset(plan.scope, other.scope)
      if (covered && (yield* Clock.currentTimeMillis) < renewAt(other)) return
    }
    if (stored?.client !== undefined) held = { ...held, client: stored.client }
    const wanted = (): Wanted => ({ ...plan, client: held.client })
    const before = held.tokens
    if (plan.why !== "more" && before?.refreshToken !== undefined) {
      const refreshed = yield* Effect.result(OAuthSteps.refresh(env, wanted(), before, before.refreshToken))
      if (refreshed._tag === "Success") return yield* commit(refreshed.success, plan, "machine")
      const why = refreshed.failure
      // What may pass, or is nobody's to allow, is no reason to ask a person.
      if (why.transient || why.code === undefined) return yield* why
      const unknownClient = why.code === "invalid_client" && auth.client === undefined
      held = {
        ...held,
        tokens: { ...before, refreshToken: undefined },
        client: unknownClient ? undefined : held.client
      }
      yield* save(held)
      if (plan.why === "due" && asksPerson) return yield* why
      yield* Effect.logInfo(`The refresh token for ${url.host} is of no use any more: ${why.detail}`)
    }
    yield* commit(yield* obtain(mine, wanted()), plan, asksPerson ? "person" : "machine")
  })

  /** Others who share the store wait their turn, a person's consent included; we do not wait that long for them. */
  const locked = Effect.fnUntraced(function* (mine: Flight, plan: Plan) {
    const entered = yield* Deferred.make<void>()
    const work = store
      .withLock(key)(Effect.andThen(Deferred.succeed(entered, undefined), attempt(mine, plan)))
      .pipe(Effect.catchTag("TokenStoreError", (error) => failed(env, "Store", error)))
    const busy = new AuthorizationFailed({
      server: url.host,
      step: "Store",
      detail: `another program is being authorised for it`,
      transient: true
    })
    const patience = Effect.sleep(auth.requestTimeout).pipe(
      Effect.andThen(Effect.suspend(() => (Deferred.isDoneUnsafe(entered) ? Effect.never : Effect.fail(busy))))
    )
    return yield* Effect.raceFirst(work, patience)
  })

  const settle = (mine: Flight, plan: Plan, exit: Exit.Exit<void, Failure>) => {
    if (flight === mine) flight = undefined
    if (Exit.isSuccess(exit)) {
      Deferred.doneUnsafe(mine.done, exit)
      return
    }
    const closed = Cause.hasInterruptsOnly(exit.cause)
    const reason = Option.getOrElse(Exit.findErrorOption(exit), () =>
      failed(env, "Token", new Error(closed ? "it was closed meanwhile" : Cause.pretty(exit.cause)))
    )
    // An address that was only told troubled nobody; the next call may be told another one. And a refresh token that is of
    // no use any more is not tried again, but is a reason to ask.
    const shown = Deferred.isDoneUnsafe(mine.person)
    const mayAsk = plan.why === "due" && asksPerson && held.tokens?.refreshToken === undefined
    if (!closed && reason._tag === "AuthorizationFailed" && (mine.opened || !shown) && !mayAsk) {
      guard.failed(clock.currentTimeMillisUnsafe(), mine.opened ? "person" : "machine", reason)
    }
    Deferred.doneUnsafe(mine.done, Exit.fail(reason))
  }

  const start = (plan: Plan): Flight => {
    const mine: Flight = {
      done: Deferred.makeUnsafe(),
      person: Deferred.makeUnsafe(),
      fiber: undefined,
      opened: false,
      returned: false
    }
    flight = mine
    mine.fiber = Effect.runForkWith(context)(locked(mine, plan))
    mine.fiber.addObserver((exit) => settle(mine, plan, exit))
    return mine
  }

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      const running = flight?.fiber
      if (running !== undefined) {
        if (!Deferred.isDoneUnsafe(flight!.person)) {
          yield* Fiber.await(running).pipe(
            Effect.timeoutOption(lastWords),
            Effect.provideService(Clock.Clock, realTime)
          )
        }
        yield* Fiber.interrupt(running)
      }
      held = {}
      learned.length = 0
    })
  )

  /** The outcome of a flight, or the address that a person has to open. */
  const join = (mine: Flight, patience: Duration.Duration, status: 401 | 403): Effect.Effect<void, Failure> =>
    Effect.raceFirst(
      Deferred.await(mine.done),
      Effect.gen(function* () {
        const { address, opened, scope } = yield* Deferred.await(mine.person)
        if (opened) yield* Effect.sleep(patience)
        if (mine.returned) return yield* Effect.never
        return yield* new AuthRequired({ server: url.host, status, authorizationUrl: address.href, scope })
      })
    )

  const present = Effect.fnUntraced(function* (request: { readonly method: string; readonly url: URL }) {
    const { tokens } = held
    const mine = generation
    if (tokens === undefined) return { headers: {}, generation: mine }
    const token = Redacted.value(tokens.accessToken)
    if (!auth.dpop || tokens.tokenType.toLowerCase() !== "dpop") {
      return { headers: { authorization: `Bearer ${token}` }, generation: mine }
    }
    const dpop = yield* session
    const proof = yield* Effect.tryPromise({
      try: () => dpop.buildProof({ htm: request.method, htu: request.url, accessToken: token }),
      catch: (cause) => failed(env, "Token", cause)
    })
    return { headers: { authorization: `DPoP ${token}`, dpop: proof }, generation: mine }
  })

  const headers = Effect.fnUntraced(function* (
    request: { readonly method: string; readonly url: URL },
    patience: Duration.Duration
  ) {
    yield* loaded
    const { tokens } = held
    if (tokens === undefined) {
      if (flight !== undefined) yield* join(flight, patience, 401)
      return yield* present(request)
    }
    const now = yield* Clock.currentTimeMillis
    const renewable = tokens.refreshToken !== undefined || !asksPerson
    if (now >= renewAt(tokens) && renewable && (flight !== undefined || guard.paused(now) === undefined)) {
      const mine = flight ?? start({ why: "due", scope: tokens.scope, resourceMetadataUrl: undefined })
      // What is still good is used meanwhile; what is not goes out all the same, and its refusal is dealt with.
      if (now >= (tokens.expiresAt ?? Infinity)) yield* Effect.ignore(join(mine, patience, 401))
    }
    return yield* present(request)
  })

  const refused = Effect.fnUntraced(function* (refusal: Refusal, patience: Duration.Duration) {
    yield* loaded
    const { challenge, nonce, status } = refusal
    if (auth.dpop && nonce !== undefined) {
      const dpop = yield* session
      dpop.rememberNonce(url, nonce)
      if (status === 401 && Challenge.wantsNonce(challenge)) return
    }
    if (refusal.generation !== generation) return
    if (flight !== undefined) return yield* join(flight, patience, status)
    const said = Challenge.parse(challenge, url)
    const unavailing = (detail: string) =>
      new AuthRequired({
        server: url.host,
        status,
        challenge: challenge === undefined ? undefined : env.scrub(challenge),
        scope: said.scope === undefined ? undefined : env.scrub(said.scope),
        detail
      })
    const scope = computeScopeUnion(
      auth.scope,
      held.askedScope,
      status === 403 ? held.tokens?.scope : undefined,
      said.scope
    )
    if (status === 403) {
      if (said.error !== "insufficient_scope") return yield* unavailing("it gives no way to be allowed more")
      // Otherwise the same would be asked for without end.
      if (!isStrictScopeSuperset(scope, computeScopeUnion(askedHere, auth.scope))) {
        return yield* unavailing("everything it wants was asked for already")
      }
    }
    const now = yield* Clock.currentTimeMillis
    const paused = guard.paused(now)
    if (paused !== undefined) return yield* paused
    if (guard.exhausted(now, status === 401 && asksPerson ? "person" : "machine")) {
      return yield* unavailing("it refuses the credentials that it has just been given")
    }
    const plan: Plan = {
      why: status === 403 ? "more" : "refused",
      scope,
      resourceMetadataUrl: said.resourceMetadataUrl
    }
    return yield* join(start(plan), patience, status)
  })

  const face: Authorizer["face"] = (server, patience) => {
    const named = (failure: Failure): McpError => {
      if (failure._tag === "AuthRequired") {
        const { authorizationUrl, challenge, detail, scope, status } = failure
        return new McpError({
          reason: new AuthRequired({ server, status, challenge, authorizationUrl, scope, detail })
        })
      }
      const { code, detail, step, transient } = failure
      return new McpError({ reason: new AuthorizationFailed({ server, step, code, detail, transient }) })
    }
    return {
      headers: (request) => Effect.mapError(headers(request, patience), named),
      refused: (refusal) => Effect.mapError(refused(refusal, patience), named)
    }
  }

  const forget = Effect.gen(function* () {
    yield* loaded
    const running = flight?.fiber
    if (running !== undefined) yield* Fiber.interrupt(running)
    const before = held
    take({})
    askedHere = undefined
    guard.reset()
    const found = yield* store
      .withLock(key)(store.remove(key))
      .pipe(Effect.catchTag("TokenStoreError", (error) => Effect.as(warned("Could not remove")(error), false)))
    const revoked = before.tokens === undefined ? false : yield* revoke(env, before)
    return { found: found || before.tokens !== undefined, revoked }
  })

  return {
    face,
    secrets,
    state: () => ({
      state: flight !== undefined ? "Asking" : held.tokens === undefined ? "None" : "Held",
      scope: held.tokens?.scope,
      expiresAt: held.tokens?.expiresAt
    }),
    forget
  }
})
