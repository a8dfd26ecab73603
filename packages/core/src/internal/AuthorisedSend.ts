/** Sends a request with the credentials it needs, and again when the server refuses them and others are at hand. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { HttpRequest } from "../HttpDispatcher.ts"
import { McpError } from "../McpError.ts"
import * as HttpAuth from "./HttpAuth.ts"
import { mostRedirects, redirected } from "./httpRedirect.ts"
import type { SendListener, SendOptions } from "./HttpSend.ts"

/** Refusals of credentials that one request may meet. */
const mostRefusals = 3

const wantsMoreScope = (challenge: string | undefined): boolean =>
  challenge !== undefined && /\berror\s*=\s*"?insufficient_scope\b/i.test(challenge)

export const start = (
  { dispatcher, run, scrub, server }: SendOptions,
  auth: HttpAuth.HttpAuth,
  request: HttpRequest,
  listener: SendListener
): (() => void) => {
  const { method } = request
  const unattended = listener.unattended === true ? { unattended: true as const } : {}
  let ended = false
  let abort = () => {}
  let refusals = 0
  let redirects = 0

  /** Goes on with `next`, unless the caller has gone meanwhile. */
  const step = <A>(effect: Effect.Effect<A, McpError>, next: (value: A) => void) => {
    const fiber = run(Effect.result(effect))
    abort = () => fiber.interruptUnsafe()
    fiber.addObserver((exit) => {
      if (ended) return
      if (Exit.isFailure(exit)) listener.onFailure({ delivery: "NotSent", detail: "it could not be authorised" })
      else if (Result.isFailure(exit.value)) listener.onUnauthorised(exit.value.failure)
      else next(exit.value.success)
    })
  }

  const begin = (url: URL) =>
    step(auth.headers({ method, url }), ({ generation, headers }) =>
      dispatch({ ...request, url, headers: { ...request.headers, ...headers } }, generation)
    )

  /** Whether the server does not take it as it was sent, and something else is tried. */
  const goesOn = (
    url: URL,
    generation: number,
    status: number,
    header: (name: string) => string | undefined
  ): boolean => {
    const challenge = header("www-authenticate")
    if (status === 401 || (status === 403 && wantsMoreScope(challenge))) {
      abort()
      if (status === 401) listener.onHanded(false)
      if (refusals++ === mostRefusals) {
        listener.onUnauthorised(new McpError({ reason: HttpAuth.required(server, scrub, status, challenge) }))
      } else {
        const nonce = header("dpop-nonce")
        step(auth.refused({ status, challenge, generation, nonce, ...unattended }), () => begin(url))
      }
      return true
    }
    const to = redirected({ method, url }, status, header("location"))
    if (to === undefined || redirects++ === mostRedirects) return false
    abort()
    begin(to)
    return true
  }

  const dispatch = (sent: HttpRequest, generation: number) => {
    listener.onHanded(true)
    abort = dispatcher.dispatch(sent, {
      onResponse: (status, header) => {
        if (status < 300 || !goesOn(sent.url, generation, status, header)) listener.onResponse(status, header)
      },
      onData: listener.onData,
      onEnd: listener.onEnd,
      onFailure: listener.onFailure
    })
  }

  begin(request.url)
  return () => {
    ended = true
    abort()
  }
}
