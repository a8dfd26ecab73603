/**
 * The one owner of the line to a server. Requests of the {@link CallEngine} and the MCP SDK's client share it: the
 * engine's go through `post`, everything else through `transport`.
 *
 * @since 0.1.0
 */
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import type * as Effect from "effect/Effect"
import { isRecord } from "./internal/frames.ts"
import type { Reason } from "./McpError.ts"
import type { StopStep } from "./ProcessOwner.ts"

/**
 * A JSON-RPC request of the engine.
 *
 * @since 0.1.0
 */
export interface RequestFrame {
  readonly jsonrpc: "2.0"
  readonly id: number
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
}

/**
 * What becomes of a posted request, told synchronously.
 *
 * @since 0.1.0
 */
export interface PostListener {
  /** From here on the server may have read it; with `false` it has refused to, and the request is unsent again. */
  readonly onHanded: (handed: boolean) => void
  /** It will not be answered. Without effect once it is settled. */
  readonly onFailure: (reason: Reason) => void
  /** It has been answered, or nobody waits for it any more. */
  readonly isSettled: () => boolean
}

/**
 * The engine's side of the wire, offered every frame the server sends. True: it was the engine's; false: it goes to the
 * SDK.
 *
 * @since 0.1.0
 */
export interface FrameReceiver {
  readonly onFrame: (frame: Readonly<Record<string, unknown>>) => boolean
  /** The message that answers this id, or may do so, is over the limit and was dropped. */
  readonly onTooLarge: (id: number) => boolean
  /** The wire has ended; nothing more comes. Called once, also when it had ended before. */
  readonly onClosed: (why: WireClosed) => void
}

/**
 * Why the wire ended, from our side or theirs; `toReason` makes the error of one request that was on it.
 *
 * @since 0.1.0
 */
export interface WireClosed {
  readonly detail: string
  readonly toReason: (delivery: "NotSent" | "OutcomeUnknown") => Reason
}

/**
 * How the stream does on which a server over HTTP sends what answers no request. `Absent`: the server has none, or it is
 * not open yet. `Reopening`: it was lost, and what the server sends meanwhile may be. `Refused`: it was given up.
 *
 * @since 0.1.0
 */
export interface StreamStatus {
  readonly state: "Absent" | "Open" | "Reopening" | "Refused"
  readonly detail: string | undefined
  /** Times in a row that it could not be opened or brought nothing. */
  readonly failures: number
}

/**
 * What the wire has seen besides messages; texts are scrubbed.
 *
 * @since 0.1.0
 */
export interface WireDiagnostics {
  readonly pid: number | undefined
  readonly sessionId: string | undefined
  /** Only of a server over HTTP. */
  readonly stream: StreamStatus | undefined
  /** The last lines on stderr. */
  readonly stderr: string
  /** Lines on stdout that are no protocol messages: how many, and the first of them. */
  readonly noiseCount: number
  readonly noise: ReadonlyArray<string>
  readonly exitCode: number | undefined
  readonly signal: string | undefined
}

/** @since 0.1.0 */
export interface Wire {
  /**
   * What a client of the SDK talks through: handshake, lists, notifications, requests of the server. Each is for one
   * client; a client whose handshake failed is thrown away, and the newest face gets the frames. The line itself starts
   * once.
   */
  readonly transport: () => Transport
  /**
   * Sends a request of the engine and returns what cancels it: unsent, it is dropped; sent, the server is told. `body`
   * is the frame as JSON; `headers` (`Mcp-Param-*`) are ignored where a message has none.
   */
  readonly post: (
    frame: RequestFrame,
    body: string,
    listener: PostListener,
    headers?: Readonly<Record<string, string>>
  ) => (why: string) => void
  /** Sets who is offered the frames; until then they go to the SDK. */
  readonly listen: (receiver: FrameReceiver) => void
  /** Waits for the end. Never fails. */
  readonly closed: Effect.Effect<WireClosed>
  readonly diagnostics: () => WireDiagnostics
  /** Ends the line in good order and tells what it took; runs by itself when the scope closes. */
  readonly stop: Effect.Effect<StopStep>
}

/**
 * The notice that nobody waits for a request any more. In the 2026 era it says who sends it, as the request did.
 *
 * @since 0.1.0
 */
export const cancelled = (requestId: number, reason: string, requestMeta?: unknown): JSONRPCMessage => {
  const envelope = isRecord(requestMeta)
    ? Object.entries(requestMeta).filter(([key]) => key.startsWith("io.modelcontextprotocol/"))
    : []
  const meta = envelope.length === 0 ? {} : { _meta: Object.fromEntries(envelope) }
  return { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, reason, ...meta } }
}
