/**
 * Sends a request over HTTP with the credentials it needs: again when the server refuses them and others are at hand,
 * and elsewhere when it is moved within its origin. Without authorisation it adds nothing to the dispatcher's own work.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { HttpDispatcher, HttpListener, HttpRequest } from "../HttpDispatcher.ts"
import { McpError } from "../McpError.ts"
import * as HttpAuth from "./HttpAuth.ts"
import type { Scrub } from "./redaction.ts"

/** Refusals of credentials, and redirects, that one request may meet. */
const most = { refusals: 3, redirects: 5 } as const

export interface SendListener extends HttpListener {
  /** With false the server has refused to look at it. */
  readonly onHanded: (handed: boolean) => void
  /** Nobody has credentials that the server takes. */
  readonly onUnauthorised: (error: McpError) => void
}

/** Starts a request and returns what aborts it, also while it waits for credentials. */
export type Send = (request: HttpRequest, listener: SendListener) => () => void

export type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

const wantsMoreScope = (challenge: string | undefined): boolean =>
  challenge !== undefined && /\berror\s*=\s*"?insufficient_scope\b/i.test(challenge)

/** Where a redirect leads that keeps the request as it is and stays within the origin. */
const redirected = (request: HttpRequest, url: URL, status: number, location: string | undefined): URL | undefined => {
  const keeps = status === 307 || status === 308 || (request.method === "GET" && (status === 301 || status === 302))
  if (!keeps || location === undefined || !URL.canParse(location, url)) return undefined
  const to = new URL(location, url)
  return to.origin === url.origin ? to : undefined
}

export const make =
  (options: {
    readonly server: string
    readonly scrub: Scrub
    readonly dispatcher: HttpDispatcher["Service"]
    readonly auth: HttpAuth.HttpAuth | undefined
    readonly run: Run
  }): Send =>
  (request, listener) => {
    const { auth, dispatcher, run, scrub, server } = options
    let ended = false
    let abort = () => {}
    let refusals = 0
    let redirects = 0

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

    const begin = (url: URL) => {
      if (auth === undefined) return dispatch(url, request.headers, 0)
      step(auth.headers({ method: request.method, url }), ({ generation, headers }) =>
        dispatch(url, { ...request.headers, ...headers }, generation)
      )
    }

    /** Tells what the server does not take as it was sent; false is for everybody else to read. */
    const tryAgain = (
      url: URL,
      generation: number,
      status: number,
      header: (name: string) => string | undefined
    ): boolean => {
      const challenge = header("www-authenticate")
      if (auth !== undefined && (status === 401 || (status === 403 && wantsMoreScope(challenge)))) {
        abort()
        if (status === 401) listener.onHanded(false)
        if (refusals++ === most.refusals) {
          listener.onUnauthorised(new McpError({ reason: HttpAuth.required(server, scrub, status, challenge) }))
        } else {
          step(auth.refused({ status, challenge, generation, nonce: header("dpop-nonce") }), () => begin(url))
        }
        return true
      }
      const to = redirected(request, url, status, header("location"))
      if (to === undefined || redirects++ === most.redirects) return false
      abort()
      begin(to)
      return true
    }

    const dispatch = (url: URL, headers: HttpRequest["headers"], generation: number) => {
      listener.onHanded(true)
      abort = dispatcher.dispatch(
        url === request.url && headers === request.headers ? request : { ...request, url, headers },
        {
          onResponse: (status, header) => {
            if (status < 300 || !tryAgain(url, generation, status, header)) listener.onResponse(status, header)
          },
          onData: listener.onData,
          onEnd: listener.onEnd,
          onFailure: listener.onFailure
        }
      )
    }

    begin(request.url)
    return () => {
      ended = true
      abort()
    }
  }
