/** Sends a person to the page on which they allow it, and waits for them to come back. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Code } from "../Authorization.ts"
import { AuthorizationBrowser } from "../AuthorizationBrowser.ts"
import { LoopbackListener } from "../LoopbackListener.ts"
import type { AuthorizationFailed } from "../McpError.ts"
import { failed, type OAuthEnv } from "./OAuthEnv.ts"
import * as OAuthSteps from "./OAuthSteps.ts"

/** Where a person has been sent. */
export interface Page {
  readonly address: URL
  readonly scope: string | undefined
  /** Whether a browser shows it; otherwise somebody has to be told. */
  readonly opened: boolean
}

export interface Progress {
  readonly shown: (page: Page) => void
  /** They have come back, and the rest is between machines. */
  readonly returned: () => void
}

const randomState = (): string =>
  [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => byte.toString(16).padStart(2, "0")).join("")

/** Whether a browser could be opened. */
const show = Effect.fnUntraced(function* (env: OAuthEnv, address: URL) {
  const browser = yield* Effect.serviceOption(AuthorizationBrowser)
  if (Option.isNone(browser)) return false
  return yield* browser.value.open(address, env.server).pipe(
    Effect.as(true),
    Effect.catch((error) => Effect.as(Effect.logWarning(env.scrub(error.message)), false))
  )
})

export const consent = Effect.fnUntraced(function* (
  env: OAuthEnv,
  auth: Code,
  wanted: OAuthSteps.Wanted,
  progress: Progress
): Effect.fn.Return<OAuthSteps.Obtained, AuthorizationFailed> {
  const listener = yield* Effect.serviceOption(LoopbackListener)
  if (Option.isNone(listener)) {
    return yield* failed(env, "Consent", new Error("there is no LoopbackListener for the browser to come back to"))
  }
  const state = randomState()
  const listen = (port: number) => listener.value.listen({ port, path: auth.redirectPath, state })
  // The port that was registered, if it is free: not every server takes another one.
  const registered = wanted.client?.redirectUrl
  const before = auth.redirectPort === 0 && registered !== undefined ? Number(new URL(registered).port) : 0
  const work = Effect.gen(function* () {
    const { callback, redirectUrl } = yield* Effect.mapError(
      before === 0 ? listen(auth.redirectPort) : Effect.catch(listen(before), () => listen(0)),
      (cause) => failed(env, "Consent", cause)
    )
    const { address, attempt } = yield* OAuthSteps.prepare(env, wanted, redirectUrl, state)
    progress.shown({ address, scope: attempt.found.scope, opened: yield* show(env, address) })
    const answer = yield* Effect.timeoutOrElse(callback, {
      duration: auth.consentTimeout,
      orElse: () =>
        failed(
          env,
          "Consent",
          new Error(`nobody allowed it within ${Duration.format(auth.consentTimeout)} (consentTimeout)`)
        )
    })
    progress.returned()
    return yield* OAuthSteps.exchange(env, wanted, attempt, redirectUrl, answer)
  })
  return yield* Effect.scoped(work)
})
