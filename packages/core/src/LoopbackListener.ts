/**
 * Waits on this machine for the browser of a person who has allowed a server to be used, or has refused it. A service of
 * the platform; `@scoped-mcp/node` provides it.
 *
 * https://www.rfc-editor.org/rfc/rfc8252#section-7.3
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/**
 * Nothing could listen there; the port may be taken.
 *
 * @since 0.1.0
 */
export class ListenFailed extends Schema.TaggedError<ListenFailed>("@scoped-mcp/core/ListenFailed")("ListenFailed", {
  port: Schema.Finite,
  detail: Schema.String
}) {
  override get message() {
    return `Nothing could listen on port ${this.port} of this machine: ${this.detail}`
  }
}

/** @since 0.1.0 */
export interface ListenOptions {
  /** 0: any that is free. */
  readonly port: number
  readonly path: string
  /** What the answer has to carry; any other request is refused, and the wait goes on. */
  readonly state: string
}

/** @since 0.1.0 */
export interface Listening {
  readonly redirectUrl: URL
  /** What came back. It is not limited in time here. */
  readonly callback: Effect.Effect<URLSearchParams>
}

/** @since 0.1.0 */
export class LoopbackListener extends Context.Service<
  LoopbackListener,
  {
    /** Listens on 127.0.0.1 until the scope closes. */
    readonly listen: (options: ListenOptions) => Effect.Effect<Listening, ListenFailed, Scope.Scope>
  }
>()("@scoped-mcp/core/LoopbackListener") {}
