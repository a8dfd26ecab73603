/**
 * The wire to a server over HTTP+SSE, the transport before Streamable HTTP: one stream of events brings every answer, and
 * messages are posted to the address that it names first. A stream that is lost cannot be resumed, so it ends the line.
 *
 * https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { HttpDispatcher } from "../HttpDispatcher.ts"
import { ConnectionLost, McpError, SessionExpired } from "../McpError.ts"
import * as ServerConfig from "../ServerConfig.ts"
import { cancelled, type Wire } from "../Wire.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"
import * as EventStream from "./EventStream.ts"
import { parseFrame } from "./frames.ts"
import * as HttpAuth from "./HttpAuth.ts"
import * as HttpExchange from "./HttpExchange.ts"
import * as HttpFault from "./HttpFault.ts"
import * as HttpHeaders from "./httpHeaders.ts"
import * as HttpSend from "./HttpSend.ts"
import * as HttpSession from "./HttpSession.ts"
import * as LineEnd from "./LineEnd.ts"
import * as Noise from "./Noise.ts"
import * as Oversize from "./Oversize.ts"
import * as Redaction from "./redaction.ts"
import * as SdkFaces from "./SdkFaces.ts"

const sessionExpired = "its session has expired"

/** Why the stream could not be opened. */
class StreamFailed extends Data.TaggedError("StreamFailed")<{ readonly detail: string }> {
  override get message() {
    return this.detail
  }
}

export const make = Effect.fnUntraced(function* (
  server: string,
  config: ServerConfig.Sse,
  wheel: DeadlineWheelService,
  auth?: HttpAuth.HttpAuth
): Effect.fn.Return<Wire, StreamFailed | McpError, HttpDispatcher | Scope.Scope> {
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
  const exchanges: HttpExchange.HttpLine = { send, wheel, run, limit, running, rest: undefined, noise: noise.heard }
  let endpoint = url
  const opened = yield* Deferred.make<URL, StreamFailed | McpError>()

  const line = LineEnd.make((detail, delivery) => new ConnectionLost({ server, detail, stderr: "", delivery }))
  const end = (detail: string, found?: () => void) => {
    if (!line.end(detail, found)) return
    for (const abort of running) abort()
    running.clear()
    queueMicrotask(() => faces.closed())
  }

  const onText = (text: string) => {
    const frame = parseFrame(text)
    if (frame === undefined) noise.heard(text)
    else if (!line.receiver().onFrame(frame)) faces.deliver(frame as unknown as JSONRPCMessage)
  }

  const onOther = (event: string, data: string) => {
    if (event !== "endpoint") return
    // What is posted holds the credentials of this server.
    const isOurs = URL.canParse(data, url) && new URL(data, url).origin === url.origin
    Deferred.doneUnsafe(
      opened,
      isOurs
        ? Effect.succeed(new URL(data, url))
        : Effect.fail(new StreamFailed({ detail: "its event stream names an address of another origin" }))
    )
  }

  const failureOf = (how: EventStream.StreamEnd): StreamFailed | McpError => {
    if (how._tag === "Unauthorised") return how.error
    return how._tag === "Refused" && (how.status === 401 || how.status === 403)
      ? new McpError({ reason: HttpAuth.required(server, scrub, how.status, how.challenge) })
      : new StreamFailed({ detail: `its event stream could not be opened: ${scrub(how.detail)}` })
  }

  /** Posts a message; its answer, if it has one, comes on the stream. */
  const submit = (
    body: string,
    onHanded: (handed: boolean) => void,
    onAccepted: () => void,
    onFault: (fault: HttpFault.HttpFault) => void,
    isWaitedFor: () => boolean
  ) =>
    HttpExchange.start(exchanges, endpoint, session.forPost({}), body, {
      onHanded,
      onText: () => {},
      isSettled: () => true,
      isWaitedFor,
      reads: (status) => status !== 404,
      onAccepted,
      onDone: () => {},
      onFault: (fault) => {
        const isExpiry = fault._tag === "Status" && fault.status === 404
        if (isExpiry) end(sessionExpired, () => onFault(fault))
        onFault(fault)
      }
    })

  const faces = SdkFaces.make(
    () => {
      const waiting = new Set<(error: Error) => void>()
      return {
        start: () => Promise.resolve(),
        send: (message: JSONRPCMessage) =>
          new Promise<void>((resolve, reject) => {
            if (line.isClosed()) return reject(new Error("the connection is closed"))
            waiting.add(reject)
            submit(
              JSON.stringify(message),
              () => {},
              () => {
                waiting.delete(reject)
                resolve()
              },
              (fault) => {
                waiting.delete(reject)
                reject(HttpFault.toSdkError(faults, fault))
              },
              () => "id" in message && "method" in message
            )
          }),
        setProtocolVersion: session.agree,
        waiting
      }
    },
    ({ waiting }) => {
      for (const reject of waiting) reject(new Error("the connection is closed"))
    }
  )

  const stream = EventStream.open({
    url,
    send,
    headers: session.forGet(undefined),
    limit,
    cursor: EventStream.cursor(),
    reader: {
      onText,
      onOther,
      ...Oversize.make(
        (id) => line.receiver().onTooLarge(id),
        () => end(`it sent a message over ${limit} bytes that answers no known request`)
      ),
      onEndless: () => {}
    }
  })
  const fiber = run(
    Effect.map(stream, (how) => {
      // In this order: the end of the line ends this fibre as well.
      Deferred.doneUnsafe(opened, Effect.fail(failureOf(how)))
      end(`its event stream was lost: ${scrub(how.detail)}`)
    })
  )
  running.add(() => fiber.interruptUnsafe())
  const stop = Effect.sync(() => {
    end("it was closed by us")
    return "EndOfInput" as const
  })
  yield* Effect.addFinalizer(() => stop)
  endpoint = yield* Deferred.await(opened)

  const post: Wire["post"] = (frame, body, listener) => {
    let handed = false
    const abort = submit(
      body,
      (is) => {
        handed = is
        listener.onHanded(is)
      },
      () => {},
      (fault) =>
        listener.onFailure(
          fault._tag === "Status" && fault.status === 404
            ? new SessionExpired({ server })
            : HttpFault.toReason(faults, frame, fault)
        ),
      () => !listener.isSettled()
    )
    return (why) => {
      abort()
      if (line.isClosed() || !handed) return
      submit(
        JSON.stringify(cancelled(frame.id, why)),
        () => {},
        () => {},
        () => {},
        () => false
      )
    }
  }

  return {
    transport: faces.next,
    post,
    listen: line.listen,
    closed: line.closed,
    diagnostics: () => ({
      pid: undefined,
      sessionId: undefined,
      stream: { state: line.isClosed() ? "Absent" : "Open", detail: undefined, failures: 0 },
      stderr: "",
      noiseCount: noise.count(),
      noise: noise.first,
      exitCode: undefined,
      signal: undefined
    }),
    stop
  }
})
