/**
 * The wire to a server over Streamable HTTP: each request of the engine is a POST of its own, answered by one JSON
 * document or a stream of events. The SDK's transport has the handshake, the GET stream and the session id.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { HttpDispatcher } from "../HttpDispatcher.ts"
import { sessionDeleteTimeout } from "../Limits.ts"
import {
  AuthRequired,
  ConnectionLost,
  type Delivery,
  MessageTooLarge,
  ProtocolError,
  type Reason,
  SessionExpired
} from "../McpError.ts"
import * as ServerConfig from "../ServerConfig.ts"
import { cancelled, type RequestFrame, type Wire } from "../Wire.ts"
import { concat, decode } from "./bytes.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"
import { parseFrame } from "./frames.ts"
import * as LineEnd from "./LineEnd.ts"
import * as Redaction from "./redaction.ts"

const sessionExpired = "its session has expired"

/** Longest time that the notice of a cancellation may take. */
const noticeTimeout = Duration.seconds(2)

export const make = Effect.fnUntraced(function* (
  server: string,
  config: ServerConfig.Http,
  wheel: DeadlineWheelService
): Effect.fn.Return<Wire, never, HttpDispatcher | Scope.Scope> {
  const dispatcher = yield* HttpDispatcher
  const scrub = Redaction.make(ServerConfig.secrets(config))
  const url = new URL(Redacted.value(config.url))
  const declared = Object.fromEntries(
    Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), Redacted.value(value)])
  )
  const running = new Set<() => void>()
  let protocolVersion: string | undefined

  const transport: StreamableHTTPClientTransport = new StreamableHTTPClientTransport(url, {
    requestInit: { headers: declared },
    fetch: async (address, init) => {
      const response = await dispatcher.fetch(address, init)
      if (response.status === 404 && init?.method === "POST" && transport.sessionId !== undefined) end(sessionExpired)
      return response
    },
    // The SDK's own reconnection leaves timers behind after a close; a lost GET stream only costs notifications.
    reconnectionOptions: {
      initialReconnectionDelay: 1000,
      maxReconnectionDelay: 30_000,
      reconnectionDelayGrowFactor: 1.5,
      maxRetries: 0
    }
  })
  const setProtocolVersion = transport.setProtocolVersion.bind(transport)
  transport.setProtocolVersion = (version) => {
    protocolVersion = version
    setProtocolVersion(version)
  }

  const unanswered = (detail: string, delivery: Delivery) =>
    new ConnectionLost({ server, detail, stderr: "", delivery })
  const line = LineEnd.make(unanswered)

  const end = (detail: string, found?: () => void) => {
    if (!line.end(detail, found)) return
    for (const abort of running) abort()
    running.clear()
  }

  const headers = (): Record<string, string> => ({
    ...declared,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    ...(transport.sessionId === undefined ? {} : { "mcp-session-id": transport.sessionId }),
    ...(protocolVersion === undefined ? {} : { "mcp-protocol-version": protocolVersion })
  })

  const refusal = (frame: RequestFrame, status: number, header: (name: string) => string | undefined): Reason => {
    if (status === 401 || status === 403) {
      const challenge = header("www-authenticate")
      return new AuthRequired({ server, status, challenge: challenge === undefined ? undefined : scrub(challenge) })
    }
    if (status === 404 && transport.sessionId !== undefined) return new SessionExpired({ server })
    const retryLater = (status === 429 || status === 503) && header("retry-after") !== undefined
    const redirect = status >= 300 && status < 400 ? "; it redirects, and redirects are not followed" : ""
    return new ProtocolError({
      server,
      request: frame.method,
      detail: `HTTP ${status}${redirect}`,
      delivery: retryLater ? "NotSent" : "Answered"
    })
  }

  const deliver = (text: string) => {
    const frame = parseFrame(text)
    if (frame !== undefined && !line.receiver().onFrame(frame))
      transport.onmessage?.(frame as unknown as JSONRPCMessage)
  }

  const post: Wire["post"] = (frame, body, listener) => {
    let settled = false
    const fail = (reason: Reason) => {
      settled = true
      listener.onFailure(reason)
    }
    /** Nobody reads the rest, which may never end. */
    const refuse = (reason: Reason) => {
      stop()
      if (reason._tag === "SessionExpired") end(sessionExpired, () => fail(reason))
      else fail(reason)
    }
    let size = 0
    let parts: Array<Uint8Array> = []
    let events: ((text: string) => void) | undefined
    const decoder = new TextDecoder()

    // Before the dispatch, which may fail at once.
    let abort = () => {}
    const stop = () => {
      running.delete(stop)
      abort()
    }
    running.add(stop)
    // Whether a silent server has read it nobody knows; only a failure that says so was not sent.
    listener.onHanded(true)
    abort = dispatcher.dispatch(
      { method: "POST", url, headers: headers(), body },
      {
        onResponse: (status, header) => {
          if (status < 200 || status >= 300) return refuse(refusal(frame, status, header))
          const type = header("content-type") ?? ""
          if (type.startsWith("text/event-stream")) {
            const parser = Sse.makeParser(
              (event) => {
                if (event._tag === "Event" && event.data !== "") {
                  size = 0
                  deliver(event.data)
                }
              },
              { maxEventSize: config.limits.maxMessageBytes }
            )
            events = (text) => parser.feed(text)
          } else if (!type.startsWith("application/json")) {
            refuse(
              new ProtocolError({
                server,
                request: frame.method,
                detail: `the content type of the answer is "${scrub(type)}"`,
                delivery: "Answered"
              })
            )
          }
        },
        onData: (chunk) => {
          if (settled) return
          size += chunk.length
          if (size > config.limits.maxMessageBytes) {
            refuse(
              new MessageTooLarge({
                server,
                request: frame.method,
                direction: "Response",
                limit: config.limits.maxMessageBytes,
                delivery: "Answered"
              })
            )
          } else if (events === undefined) {
            parts.push(chunk)
          } else {
            events(decoder.decode(chunk, { stream: true }))
          }
        },
        onEnd: () => {
          running.delete(stop)
          if (settled) return
          if (events === undefined) deliver(decode(concat(parts)))
          parts = []
          // Nobody else will answer it.
          if (!listener.isSettled())
            listener.onFailure(unanswered("the answer ended before the result", "OutcomeUnknown"))
        },
        onFailure: (failure) => {
          running.delete(stop)
          if (!settled) fail(unanswered(scrub(failure.detail), failure.delivery))
        }
      }
    )
    return (why) => {
      settled = true
      stop()
      if (line.isClosed()) return
      // Nobody waits for the answer to a notice of cancellation, and its own failure changes nothing for the caller; but a
      // server whose calls are given up is one that may not answer this either.
      let abortNotice = () => {}
      const endNotice = () => {
        disarm()
        running.delete(endNotice)
        abortNotice()
      }
      const disarm = wheel.after(Duration.toMillis(noticeTimeout), { expire: endNotice })
      running.add(endNotice)
      abortNotice = dispatcher.dispatch(
        { method: "POST", url, headers: headers(), body: JSON.stringify(cancelled(frame.id, why)) },
        { onResponse: () => {}, onData: () => {}, onEnd: endNotice, onFailure: endNotice }
      )
    }
  }

  const stop = yield* Effect.cached(
    Effect.gen(function* () {
      end("it was closed by us")
      yield* Effect.tryPromise(() => transport.terminateSession()).pipe(
        Effect.timeoutOption(Duration.min(sessionDeleteTimeout, config.limits.closeTimeout)),
        // A server that refuses or ignores the DELETE ends the session by its own timeout; the close goes on.
        Effect.catch((error) => Effect.logDebug(`"${server}" did not end the session: ${scrub(String(error.cause))}`)),
        Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())
      )
      yield* Effect.promise(() => transport.close())
      return "EndOfInput" as const
    }).pipe(Effect.uninterruptible)
  )
  yield* Effect.addFinalizer(() => stop)

  return {
    transport: () => transport,
    post,
    listen: line.listen,
    closed: line.closed,
    diagnostics: () => ({
      pid: undefined,
      sessionId: transport.sessionId,
      stderr: "",
      noiseCount: 0,
      noise: [],
      exitCode: undefined,
      signal: undefined
    }),
    stop
  }
})
