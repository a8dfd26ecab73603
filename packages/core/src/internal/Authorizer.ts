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
import type { OAuth } from "../Authorization.ts"
import { AuthorizationFailed, AuthRequired, McpError } from "../McpError.ts"
import type { Tokens, TokenStore } from "../TokenStore.ts"
import * as Challenge from "./authorizationChallenge.ts"
import { consent, type Page } from "./consent.ts"
import * as HeldCredential from "./HeldCredential.ts"
import type { HttpAuth, Refusal } from "./HttpAuth.ts"
import { failed, type OAuthEnv } from "./OAuthEnv.ts"
import type { Obtained, Wanted } from "./OAuthSteps.ts"
import * as OAuthSteps from "./OAuthSteps.ts"
import { realTime } from "./realTime.ts"
import * as RenewalGuard from "./RenewalGuard.ts"
import { revoke } from "./revoke.ts"

export interface AuthorizerOptions {
  readonly key: string
  readonly url: URL
  readonly auth: OAuth
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

interface Flight {
  readonly done: Deferred.Deferred<void, Failure>
  /** Where a person was sent, once they were. */
  readonly page: Deferred.Deferred<Page>
  fiber: Fiber.Fiber<void, Failure> | undefined
  /** A browser was opened for it. */
  opened: boolean
  returned: boolean
}

/** Why other tokens are wanted. Only `refused` and `more` may ask a person. */
interface Plan extends Pick<Wanted, "scope" | "resourceMetadataUrl"> {
  readonly why: "due" | "refused" | "more"
}

/** How long a refresh may go on when its owner closes, because the old token may be gone already. On real time. */
const lastWords = Duration.seconds(1)

const renewAt = ({ expiresAt, obtainedAt }: Tokens): number =>
  expiresAt === undefined ? Infinity : expiresAt - Math.min(60_000, (expiresAt - obtainedAt) / 10)

export const make = Effect.fnUntraced(function* (
  options: AuthorizerOptions
): Effect.fn.Return<Authorizer, never, Scope.Scope> {
  const { auth, key, store, url } = options
  const context = yield* Effect.context()
  const clock = yield* Clock.Clock
  const held = yield* HeldCredential.make(key, url.host, auth, store)
  const guard = RenewalGuard.make()
  const asksPerson = auth._tag === "Code"
  /** By this program; what another one asked for may be granted by now. */
  let askedHere: string | undefined
  let flight: Flight | undefined

  const session = yield* Effect.cached(
    Effect.tryPromise({ try: () => DpopSession.create(), catch: (cause) => failed(env, "Prepare", cause) })
  )
  const env: OAuthEnv = {
    server: url.host,
    url,
    auth,
    fetch: options.fetch,
    learn: held.learn,
    scrub: held.scrub,
    dpop: auth.dpop ? session : Effect.succeed(undefined)
  }

  const commit = Effect.fnUntraced(function* (obtained: Obtained, plan: Plan, asked: RenewalGuard.Asked) {
    askedHere = computeScopeUnion(askedHere, obtained.scope)
    const { askedScope, client } = held.current()
    held.take({
      tokens: obtained.tokens,
      client: obtained.client ?? client,
      askedScope: computeScopeUnion(askedScope, obtained.scope)
    })
    if (plan.why !== "due") guard.had(yield* Clock.currentTimeMillis, asked)
    yield* held.save
    // The server has replaced the old ones by now.
  }, Effect.uninterruptible)

  const obtain = (mine: Flight, wanted: Wanted): Effect.Effect<Obtained, AuthorizationFailed> =>
    auth._tag !== "Code"
      ? OAuthSteps.grant(env, wanted)
      : consent(env, auth, wanted, {
          shown: (page) => {
            mine.opened = page.opened
            Deferred.doneUnsafe(mine.page, Effect.succeed(page))
          },
          returned: () => {
            mine.returned = true
          }
        })

  const attempt = Effect.fnUntraced(function* (mine: Flight, plan: Plan) {
    const stored = yield* held.read
    const other = stored?.tokens
    if (stored !== undefined && other !== undefined && !held.isHeld(other)) {
      // Another program was faster; ours are replaced by now.
      held.take(stored)
      const covered = plan.why !== "more" || !isStrictScopeSuperset(plan.scope, other.scope)
      if (covered && (yield* Clock.currentTimeMillis) < renewAt(other)) return
    }
    if (stored?.client !== undefined) held.amend({ ...held.current(), client: stored.client })
    const wanted = (): Wanted => ({ ...plan, client: held.current().client })
    const before = held.current().tokens
    if (plan.why !== "more" && before?.refreshToken !== undefined) {
      const refreshed = yield* Effect.result(OAuthSteps.refresh(env, wanted(), before, before.refreshToken))
      if (refreshed._tag === "Success") return yield* commit(refreshed.success, plan, "machine")
      const why = refreshed.failure
      // What may pass, or is nobody's to allow, is no reason to ask a person.
      if (why.transient || why.code === undefined) return yield* why
      const unknownClient = why.code === "invalid_client" && auth.client === undefined
      const tokens = { ...before, refreshToken: undefined }
      held.amend({ ...held.current(), tokens, ...(unknownClient ? { client: undefined } : {}) })
      yield* held.save
      if (plan.why === "due" && asksPerson) return yield* why
      yield* Effect.logInfo(`The refresh token for ${url.host} is of no use any more: ${why.detail}`)
    }
    yield* commit(yield* obtain(mine, wanted()), plan, asksPerson ? "person" : "machine")
  })

  /** Others who share the store wait their turn, a person's consent included; we do not wait that long for them. */
  const locked = Effect.fnUntraced(function* (mine: Flight, plan: Plan) {
    const entered = yield* Deferred.make<void>()
    const work = held.locked(Effect.andThen(Deferred.succeed(entered, undefined), attempt(mine, plan)))
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
    const shown = Deferred.isDoneUnsafe(mine.page)
    const mayAsk = plan.why === "due" && asksPerson && held.current().tokens?.refreshToken === undefined
    if (!closed && reason._tag === "AuthorizationFailed" && (mine.opened || !shown) && !mayAsk) {
      guard.failed(clock.currentTimeMillisUnsafe(), mine.opened ? "person" : "machine", reason)
    }
    Deferred.doneUnsafe(mine.done, Exit.fail(reason))
  }

  const start = (plan: Plan): Flight => {
    const mine: Flight = {
      done: Deferred.makeUnsafe(),
      page: Deferred.makeUnsafe(),
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
        if (!Deferred.isDoneUnsafe(flight!.page)) {
          yield* Fiber.await(running).pipe(
            Effect.timeoutOption(lastWords),
            Effect.provideService(Clock.Clock, realTime)
          )
        }
        yield* Fiber.interrupt(running)
      }
      held.clear()
    })
  )

  /** The outcome of a flight, or the address that a person has to open. */
  const join = (mine: Flight, patience: Duration.Duration, status: 401 | 403): Effect.Effect<void, Failure> =>
    Effect.raceFirst(
      Deferred.await(mine.done),
      Effect.gen(function* () {
        const { address, opened, scope } = yield* Deferred.await(mine.page)
        if (opened) yield* Effect.sleep(patience)
        if (mine.returned) return yield* Effect.never
        return yield* new AuthRequired({ server: url.host, status, authorizationUrl: address.href, scope })
      })
    )

  const present = Effect.fnUntraced(function* (request: { readonly method: string; readonly url: URL }) {
    const { tokens } = held.current()
    const generation = held.generation()
    if (tokens === undefined) return { headers: {}, generation }
    const token = Redacted.value(tokens.accessToken)
    if (!auth.dpop || tokens.tokenType.toLowerCase() !== "dpop") {
      return { headers: { authorization: `Bearer ${token}` }, generation }
    }
    const dpop = yield* session
    const proof = yield* Effect.tryPromise({
      try: () => dpop.buildProof({ htm: request.method, htu: request.url, accessToken: token }),
      catch: (cause) => failed(env, "Token", cause)
    })
    return { headers: { authorization: `DPoP ${token}`, dpop: proof }, generation }
  })

  const headers = Effect.fnUntraced(function* (
    request: { readonly method: string; readonly url: URL },
    patience: Duration.Duration
  ) {
    yield* held.load
    const { tokens } = held.current()
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
    yield* held.load
    const { challenge, nonce, status, unattended = false } = refusal
    if (auth.dpop && nonce !== undefined) {
      const dpop = yield* session
      dpop.rememberNonce(url, nonce)
      if (status === 401 && Challenge.wantsNonce(challenge)) return
    }
    if (refusal.generation !== held.generation()) return
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
      held.current().askedScope,
      status === 403 ? held.current().tokens?.scope : undefined,
      said.scope
    )
    if (status === 403) {
      if (said.error !== "insufficient_scope") return yield* unavailing("it gives no way to be allowed more")
      // Otherwise the same would be asked for without end.
      if (!isStrictScopeSuperset(scope, computeScopeUnion(askedHere, auth.scope))) {
        return yield* unavailing("everything it wants was asked for already")
      }
    }
    if (unattended && asksPerson && (status === 403 || held.current().tokens?.refreshToken === undefined)) {
      return yield* unavailing("a person would have to be asked, and nobody waits for it")
    }
    const now = yield* Clock.currentTimeMillis
    const paused = guard.paused(now)
    if (paused !== undefined) return yield* paused
    if (guard.exhausted(now, status === 401 && asksPerson ? "person" : "machine")) {
      return yield* unavailing("it refuses the credentials that it has just been given")
    }
    const plan: Plan = {
      why: status === 403 ? "more" : unattended && asksPerson ? "due" : "refused",
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
    yield* held.load
    const running = flight?.fiber
    if (running !== undefined) yield* Fiber.interrupt(running)
    const before = held.current()
    held.take({})
    askedHere = undefined
    guard.reset()
    const found = yield* held.locked(held.remove)
    const revoked = before.tokens === undefined ? false : yield* revoke(env, before)
    return { found: found || before.tokens !== undefined, revoked }
  })

  return {
    face,
    secrets: held.secrets,
    state: () => {
      const { tokens } = held.current()
      return {
        state: flight !== undefined ? "Asking" : tokens === undefined ? "None" : "Held",
        scope: tokens?.scope,
        expiresAt: tokens?.expiresAt
      }
    },
    forget
  }
})
