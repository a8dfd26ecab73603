/**
 * The wire to a server over Streamable HTTP. Requests of the engine and of the SDK's client take the same path: each is
 * a POST of its own.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { HttpDispatcher } from "../HttpDispatcher.ts"
import { sessionDeleteTimeout } from "../Limits.ts"
import { ConnectionLost, type Delivery, SessionExpired } from "../McpError.ts"
import * as ServerConfig from "../ServerConfig.ts"
import { cancelled, type Wire } from "../Wire.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"
import * as EventStream from "./EventStream.ts"
import { parseFrame } from "./frames.ts"
import type { HttpAuth } from "./HttpAuth.ts"
import * as HttpExchange from "./HttpExchange.ts"
import * as HttpFault from "./HttpFault.ts"
import * as HttpHeaders from "./httpHeaders.ts"
import * as HttpSend from "./HttpSend.ts"
import * as HttpSession from "./HttpSession.ts"
import * as LineEnd from "./LineEnd.ts"
import * as Noise from "./Noise.ts"
import { realTime } from "./realTime.ts"
import * as Redaction from "./redaction.ts"
import * as SdkFace from "./SdkFace.ts"
import * as SdkFaces from "./SdkFaces.ts"
import * as ServerStream from "./ServerStream.ts"

/** Longest time that the notice of a cancellation may take. */
const noticeTimeout = Duration.toMillis(Duration.seconds(2))

const sessionExpired = "its session has expired"

export const make = Effect.fnUntraced(function* (
  server: string,
  config: ServerConfig.Http,
  wheel: DeadlineWheelService,
  auth?: HttpAuth
): Effect.fn.Return<Wire, never, HttpDispatcher | Scope.Scope> {
  const dispatcher = yield* HttpDispatcher
  const run = yield* FiberSet.makeRuntime()
  const scrub = Redaction.make(ServerConfig.secrets(config), auth?.secrets)
  const noise = Noise.make(scrub)
  const { declared, url } = HttpHeaders.of(config)
  const session = HttpSession.make(declared)
  const send = HttpSend.make({ server, scrub, dispatcher, run }, auth)
  const running = new Set<() => void>()
  const limit = config.limits.maxMessageBytes
  const faults: HttpFault.Context = { server, scrub, limit }

  const unanswered = (detail: string, delivery: Delivery) =>
    new ConnectionLost({ server, detail, stderr: "", delivery })
  const line = LineEnd.make(unanswered)

  const end = (detail: string, found?: () => void) => {
    if (!line.end(detail, found)) return
    for (const abort of running) abort()
    running.clear()
    // After what was found has been told the SDK, which would say only that the connection is closed.
    queueMicrotask(() => faces.closed())
  }

  const expired = (found?: () => void) => {
    session.expired()
    end(sessionExpired, found)
  }
  /** Whether the server no longer knows our session. */
  const isGone = (status: number): boolean => status === 404 && session.id() !== undefined && !session.isModern()
  const isExpiry = (fault: HttpFault.HttpFault): boolean => fault._tag === "Status" && isGone(fault.status)

  /** Hands a message to whom it is for, and answers the id of what it answers. */
  const deliver = (text: string): unknown => {
    const frame = parseFrame(text)
    if (frame === undefined) return noise.heard(text)
    if (!line.receiver().onFrame(frame)) faces.deliver(frame as unknown as JSONRPCMessage)
    return frame["method"] === undefined ? frame["id"] : undefined
  }

  const open = (
    opening: Pick<EventStream.Opening, "cursor" | "reader" | "onOpen" | "isDone">
  ): Effect.Effect<EventStream.StreamEnd> =>
    Effect.suspend(() =>
      EventStream.open({ ...opening, url, send, limit, headers: session.forGet(opening.cursor.lastEventId) })
    )

  const exchanges: HttpExchange.HttpLine = {
    send,
    wheel,
    run,
    limit,
    running,
    noise: noise.heard,
    rest: (cursor, reader, isDone) => open({ cursor, reader, isDone })
  }

  const stream = ServerStream.make({
    server,
    scrub,
    isGone,
    onGone: () => expired(),
    open: ({ cursor, heard, onOpen }) =>
      open({
        cursor,
        onOpen,
        reader: {
          onText: (text) => {
            heard()
            deliver(text)
          },
          // Nothing is answered on this stream.
          onOversize: noise.heard,
          onOversizeEnd: () => {},
          onEndless: () => {}
        }
      })
  })
  let hasStream = false
  const openStream = () => {
    if (hasStream || session.isModern() || line.isClosed()) return
    hasStream = true
    const fiber = run(stream.run)
    running.add(() => fiber.interruptUnsafe())
  }

  const faces = SdkFaces.make(
    () => {
      session.reset()
      return SdkFace.make({
        line: exchanges,
        url,
        session,
        isClosed: line.isClosed,
        deliver,
        reads: (status) => !isGone(status),
        onInitialized: openStream,
        onFault: (fault, reject) => {
          const tell = () => reject(HttpFault.toSdkError(faults, fault))
          if (isExpiry(fault)) expired(tell)
          tell()
        }
      })
    },
    (face) => face.abortAll()
  )

  const post: Wire["post"] = (frame, body, listener, headers) => {
    let handed = false
    const abort = HttpExchange.start(exchanges, url, session.forPost(frame, headers), body, {
      onHanded: (is) => {
        handed = is
        listener.onHanded(is)
      },
      onText: deliver,
      isSettled: listener.isSettled,
      reads: (status, type) => type.startsWith("application/json") && !isGone(status),
      onDone: () => {},
      onFault: (fault) => {
        if (isExpiry(fault)) {
          const reason = new SessionExpired({ server })
          expired(() => listener.onFailure(reason))
          return listener.onFailure(reason)
        }
        listener.onFailure(HttpFault.toReason(faults, frame, fault))
      }
    })
    return (why) => {
      abort()
      // The end of the stream says it, from 2026 on.
      if (line.isClosed() || session.isModern() || !handed) return
      // Nobody waits for the answer to a notice of cancellation, and its own failure changes nothing for the caller; but a
      // server whose calls are given up is one that may not answer this either.
      notify(cancelled(frame.id, why))
    }
  }

  const notify = (message: JSONRPCMessage) => {
    const endNotice = () => {
      disarm()
      running.delete(endNotice)
      abortNotice()
    }
    let abortNotice = () => {}
    const disarm = wheel.after(noticeTimeout, { expire: endNotice })
    running.add(endNotice)
    abortNotice = send(
      { method: "POST", url, headers: session.forPost({}), body: JSON.stringify(message) },
      {
        unattended: true,
        onHanded: () => {},
        onUnauthorised: endNotice,
        onResponse: () => {},
        onData: () => {},
        onEnd: endNotice,
        onFailure: endNotice
      }
    )
  }

  /** A server that refuses or ignores the DELETE ends the session by its own timeout; the close goes on. */
  const release = (id: string) =>
    Effect.callback<string | undefined>((resume) => {
      const done = (detail?: string) => resume(Effect.succeed(detail))
      const abort = send(
        { method: "DELETE", url, headers: session.forDelete(id), body: undefined },
        {
          unattended: true,
          onHanded: () => {},
          onUnauthorised: ({ message }) => done(message),
          // It may not allow it.
          onResponse: (status) => {
            done(status < 300 || status === 405 ? undefined : `HTTP ${status}`)
            abort()
          },
          onData: () => {},
          onEnd: () => {},
          onFailure: ({ detail }) => done(detail)
        }
      )
      return Effect.sync(abort)
    }).pipe(
      Effect.flatMap((refused) =>
        refused === undefined ? Effect.void : Effect.logDebug(`"${server}" did not end the session: ${scrub(refused)}`)
      )
    )

  const stop = yield* Effect.cached(
    Effect.gen(function* () {
      end("it was closed by us")
      const sessions = session.isModern() ? [] : session.held
      yield* Effect.forEach(sessions, release, { concurrency: "unbounded", discard: true }).pipe(
        Effect.timeoutOption(Duration.min(sessionDeleteTimeout, config.limits.closeTimeout)),
        Effect.provideService(Clock.Clock, realTime)
      )
      return "EndOfInput" as const
    }).pipe(Effect.uninterruptible)
  )
  yield* Effect.addFinalizer(() => stop)

  return {
    transport: faces.next,
    post,
    listen: line.listen,
    closed: line.closed,
    diagnostics: () => ({
      pid: undefined,
      sessionId: session.id(),
      stream: stream.status(),
      stderr: "",
      noiseCount: noise.count(),
      noise: noise.first,
      exitCode: undefined,
      signal: undefined
    }),
    stop
  }
})
