/**
 * A server of a pool that is given as a program rather than as data: any layer that provides a connection, or a
 * transport of the MCP SDK. It has an explicit identity, because functions cannot be compared.
 *
 * @since 0.1.0
 */
import type { Transport } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as LinkedTransport from "./internal/linkedTransport.ts"
import * as Limits from "./Limits.ts"
import type { McpConnection } from "./McpConnection.ts"
import type { McpError } from "./McpError.ts"
import type { Era, ServerConfig } from "./ServerConfig.ts"

/**
 * A connection from a layer. Two sources are the same server when their identities and limits are equal.
 *
 * @since 0.1.0
 */
export interface FromLayer {
  readonly _tag: "FromLayer"
  readonly identity: string
  readonly layer: Layer.Layer<McpConnection, McpError>
  readonly disabled: undefined
  readonly limits: Limits.ResolvedLimits
}

/**
 * A connection over any transport of the MCP SDK, of its current or its maintenance line; WebSocket servers are reached
 * this way.
 *
 * @since 0.1.0
 */
export interface FromTransport {
  readonly _tag: "FromTransport"
  readonly identity: string
  readonly make: Effect.Effect<Transport, unknown, Scope.Scope>
  readonly era: Era
  readonly disabled: undefined
  readonly limits: Limits.ResolvedLimits
}

/** @since 0.1.0 */
export type ServerSource = FromLayer | FromTransport

/**
 * What a pool accepts as a server: data or a program.
 *
 * @since 0.1.0
 */
export type Server = ServerConfig | ServerSource

/**
 * Whether two descriptions mean the same server: equal data, or sources of equal identity and limits.
 *
 * @since 0.1.0
 */
export const isSame = (a: Server, b: Server): boolean =>
  "identity" in a && "identity" in b
    ? a._tag === b._tag && a.identity === b.identity && Equal.equals(a.limits, b.limits)
    : Equal.equals(a, b)

/**
 * The pool builds the layer anew for every connection and closes it with the entry.
 *
 * @since 0.1.0
 */
export const fromLayer = (
  identity: string,
  layer: Layer.Layer<McpConnection, McpError>,
  limits: Limits.ServerLimits = {}
): FromLayer => ({ _tag: "FromLayer", identity, layer, disabled: undefined, limits: Limits.resolve(limits) })

/** @since 0.1.0 */
export interface SourceOptions extends Limits.ServerLimits {
  /** Default `auto`: the old way of the handshake first, as of a process. */
  readonly era?: Era | undefined
}

/**
 * A fresh transport is made for every connection; its scope is the connection's.
 *
 * @since 0.1.0
 */
export const fromTransport = (
  identity: string,
  make: Effect.Effect<Transport, unknown, Scope.Scope>,
  options: SourceOptions = {}
): FromTransport => ({
  _tag: "FromTransport",
  identity,
  make,
  era: options.era ?? "auto",
  disabled: undefined,
  limits: Limits.resolve(options)
})

/**
 * A server object of the MCP SDK, of its current or its maintenance line: `McpServer` or `Server`.
 *
 * @since 0.1.0
 */
export interface InProcessServer {
  connect(transport: Transport): Promise<void>
}

/**
 * A server in this process. An object serves one connection after the other; an effect makes one for each connection,
 * and its scope is the connection's. The server object speaks the 2025 era, and is the caller's to keep.
 *
 * @since 0.1.0
 */
export const inProcess = (
  identity: string,
  server: InProcessServer | Effect.Effect<InProcessServer, unknown, Scope.Scope>,
  limits: Limits.ServerLimits = {}
): FromTransport =>
  fromTransport(
    identity,
    Effect.gen(function* () {
      const object = Effect.isEffect(server) ? yield* server : server
      const [ours, theirs] = LinkedTransport.make()
      yield* Effect.tryPromise({
        try: () => object.connect(theirs),
        catch: (cause) =>
          new LinkedTransport.NotTaken({ detail: cause instanceof Error ? cause.message : String(cause) })
      })
      return ours
    }),
    limits
  )
