/** Sends a request over HTTP, and sends it elsewhere when the server moves it within its origin. */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { HttpDispatcher, HttpListener, HttpRequest } from "../HttpDispatcher.ts"
import type { McpError } from "../McpError.ts"
import * as AuthorisedSend from "./AuthorisedSend.ts"
import type { HttpAuth } from "./HttpAuth.ts"
import { mostRedirects, redirected } from "./httpRedirect.ts"
import type { Scrub } from "./redaction.ts"

export interface SendListener extends HttpListener {
  /** With false the server has refused to look at it. */
  readonly onHanded: (handed: boolean) => void
  /** Nobody waits for it. */
  readonly unattended?: true
  /** Nobody has credentials that the server takes. */
  readonly onUnauthorised: (error: McpError) => void
}

/** Starts a request and returns what aborts it, also while it waits for credentials. */
export type Send = (request: HttpRequest, listener: SendListener) => () => void

export type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

export interface SendOptions {
  readonly server: string
  readonly scrub: Scrub
  readonly dispatcher: HttpDispatcher["Service"]
  readonly run: Run
}

/** Every call comes this way: nothing is made for what hardly ever happens. */
const plain = (
  dispatcher: HttpDispatcher["Service"],
  request: HttpRequest,
  listener: SendListener,
  redirects: number
): (() => void) => {
  listener.onHanded(true)
  let abort = dispatcher.dispatch(request, {
    onResponse: (status, header) => {
      const isMoved = status >= 300 && status < 400 && redirects < mostRedirects
      const url = isMoved ? redirected(request, status, header("location")) : undefined
      if (url === undefined) return listener.onResponse(status, header)
      abort()
      abort = plain(dispatcher, { ...request, url }, listener, redirects + 1)
    },
    onData: listener.onData,
    onEnd: listener.onEnd,
    onFailure: listener.onFailure
  })
  return () => abort()
}

export const make = (options: SendOptions, auth: HttpAuth | undefined): Send => {
  const { dispatcher } = options
  return auth === undefined
    ? (request, listener) => plain(dispatcher, request, listener, 0)
    : (request, listener) => AuthorisedSend.start(options, auth, request, listener)
}
