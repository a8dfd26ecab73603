/** The wire over any transport of the MCP SDK: in memory, WebSocket, or one that a user wrote. */
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ConnectionLost, type Delivery } from "../McpError.ts"
import type { FromTransport } from "../ServerSource.ts"
import { cancelled, type Wire } from "../Wire.ts"
import { isNestedTooDeep } from "./depth.ts"
import { isRecord } from "./frames.ts"
import * as LineEnd from "./LineEnd.ts"
import { realTime } from "./realTime.ts"
import * as SdkFaces from "./SdkFaces.ts"

export const make = Effect.fnUntraced(function* (
  server: string,
  source: FromTransport
): Effect.fn.Return<Wire, unknown, Scope.Scope> {
  const inner = yield* source.make

  const unanswered = (detail: string, delivery: Delivery) =>
    new ConnectionLost({ server, detail, stderr: "", delivery })
  const line = LineEnd.make(unanswered)
  const end = (detail: string) => {
    if (line.end(detail)) faces.closed()
  }

  // A transport of the user's may throw where it should reject.
  const send: Transport["send"] = async (message, options) => inner.send(message, options)

  let started: Promise<void> | undefined
  const start = () => {
    inner.onmessage = (message, extra) => {
      if (isNestedTooDeep(message)) {
        // What it answers fails now, and not when its time is over: to the engine it is an answer without content.
        if ("id" in message && !("method" in message)) line.receiver().onFrame({ jsonrpc: "2.0", id: message.id })
        return
      }
      if (!isRecord(message) || !line.receiver().onFrame(message)) faces.deliver(message, extra)
    }
    inner.onerror = (error) => faces.failed(error)
    inner.onclose = () => end("its transport closed")
    return inner.start()
  }

  const faces = SdkFaces.make(() => ({
    start: () => (started ??= start()),
    send,
    setProtocolVersion: (version) => inner.setProtocolVersion?.(version),
    setSupportedProtocolVersions: (versions) => inner.setSupportedProtocolVersions?.(versions)
  }))

  const post: Wire["post"] = (frame, _body, listener) => {
    listener.onHanded(true)
    send(frame as unknown as JSONRPCMessage).catch((cause: unknown) => {
      listener.onFailure(unanswered(`it took no message: ${String(cause)}`, "OutcomeUnknown"))
    })
    return (why) => {
      if (line.isClosed()) return
      // The caller has gone; that this notice could not be sent changes nothing for it, and `onerror` reports the cause.
      send(cancelled(frame.id, why, frame.params["_meta"])).catch((cause: unknown) =>
        faces.failed(new Error(String(cause)))
      )
    }
  }

  const stop = yield* Effect.cached(
    Effect.suspend(() => {
      end("it was closed by us")
      return Effect.tryPromise(() => inner.close()).pipe(
        Effect.as("EndOfInput" as const),
        Effect.timeoutOrElse({
          duration: source.limits.closeTimeout,
          orElse: () => Effect.succeed("Survived" as const)
        }),
        Effect.catch((error) =>
          Effect.as(Effect.logWarning(`The transport of "${server}" failed to close`, error), "Survived" as const)
        ),
        Effect.provideService(Clock.Clock, realTime)
      )
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
      sessionId: inner.sessionId,
      stream: undefined,
      stderr: "",
      noiseCount: 0,
      noise: [],
      exitCode: undefined,
      signal: undefined
    }),
    stop
  }
})
