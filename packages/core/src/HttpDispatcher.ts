/**
 * Sends HTTP requests over shared, kept-alive sockets that are closed with the layer. A service of the platform;
 * `@scoped-mcp/node` provides it.
 *
 * @since 0.1.0
 */
import type { FetchLike } from "@modelcontextprotocol/client"
import * as Context from "effect/Context"

/** @since 0.1.0 */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "DELETE"
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/**
 * Why no whole response came. `NotSent`: no byte of the request left this machine.
 *
 * @since 0.1.0
 */
export interface HttpFailure {
  readonly delivery: "NotSent" | "OutcomeUnknown"
  readonly detail: string
}

/**
 * Receives a response as it arrives, synchronously and in order. Ends with `onEnd` or `onFailure`, once, and with
 * neither after an abort.
 *
 * @since 0.1.0
 */
export interface HttpListener {
  readonly onResponse: (status: number, header: (name: string) => string | undefined) => void
  readonly onData: (chunk: Uint8Array) => void
  readonly onEnd: () => void
  readonly onFailure: (failure: HttpFailure) => void
}

/** @since 0.1.0 */
export class HttpDispatcher extends Context.Service<
  HttpDispatcher,
  {
    /** Starts a request and returns what aborts it. Redirects are not followed; a silent body has no limit here. */
    readonly dispatch: (request: HttpRequest, listener: HttpListener) => () => void
    /** The same sockets behind the interface that the MCP SDK asks for. */
    readonly fetch: FetchLike
  }
>()("@scoped-mcp/core/HttpDispatcher") {}
