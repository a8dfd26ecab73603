/**
 * Where a browser comes back to on this machine after a person has allowed a server to be used, or refused it: an HTTP
 * listener on 127.0.0.1 that answers one address once and refuses everything else.
 *
 * @since 0.1.0
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import * as LoopbackListener from "@scoped-mcp/core/LoopbackListener"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const host = "127.0.0.1"

const page = `<!doctype html><meta charset="utf-8"><title>scoped-mcp</title>
<p>Your answer has arrived. You can close this page and go back to the program.`

const respond = (response: ServerResponse, status: number, body: string, done?: () => void) => {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'",
    "referrer-policy": "no-referrer",
    connection: "close"
  })
  response.end(body, done)
}

/** What came back, when this is the browser that was sent out. */
const answerOf = (
  request: IncomingMessage,
  options: LoopbackListener.ListenOptions,
  port: number
): URLSearchParams | number => {
  // A page elsewhere that has this machine as its address under a name of its own says so.
  if (request.headers.host !== `${host}:${port}`) return 400
  const url = new URL(request.url ?? "", `http://${host}:${port}`)
  if (url.pathname !== options.path) return 404
  if (request.method !== "GET") return 405
  return url.searchParams.get("state") === options.state ? url.searchParams : 400
}

const open = (port: number, server: Server): Effect.Effect<number, LoopbackListener.ListenFailed> =>
  Effect.callback((resume) => {
    const onError = (error: Error) =>
      resume(Effect.fail(new LoopbackListener.ListenFailed({ port, detail: error.message })))
    server.once("error", onError)
    server.listen(port, host, () => {
      server.off("error", onError)
      resume(Effect.succeed((server.address() as AddressInfo).port))
    })
  })

const close = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

/** @since 0.1.0 */
export const make = LoopbackListener.LoopbackListener.of({
  listen: Effect.fnUntraced(function* (options) {
    const answer = Deferred.makeUnsafe<URLSearchParams>()
    let port = 0
    let answered = false
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
          const found = answered ? 410 : answerOf(request, options, port)
          if (typeof found === "number") return respond(response, found, "")
          answered = true
          // Not before it is written: the listener may be closed with the answer.
          respond(response, 200, page, () => Deferred.doneUnsafe(answer, Effect.succeed(found)))
          return undefined
        })
        server.maxConnections = 16
        return server
      }),
      close
    )
    port = yield* open(options.port, server)
    return { redirectUrl: new URL(`http://${host}:${port}${options.path}`), callback: Deferred.await(answer) }
  })
})

/** @since 0.1.0 */
export const layer: Layer.Layer<LoopbackListener.LoopbackListener> = Layer.succeed(
  LoopbackListener.LoopbackListener,
  make
)
