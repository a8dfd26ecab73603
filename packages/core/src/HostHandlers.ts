/**
 * What a host may do for its servers: ask a model (`Sampling`), ask a person (`Elicitation`), and tell which folders it
 * works in (`Roots`). Each is a service; those in the context of a connection, or of a pool, when it opens are told to the
 * server, and no others. In a pool the connection is shared: a handler knows which server asks, not for which caller.
 *
 * @example
 * ```ts
 * import { HostHandlers, McpPool, ServerConfig } from "@scoped-mcp/core"
 * import { Effect, Layer } from "effect"
 *
 * // Says yes to everything; what is missing is filled in from the defaults of the question.
 * const Consent = Layer.succeed(HostHandlers.Elicitation, {
 *   form: () => Effect.succeed({ action: "accept", content: {} })
 * })
 *
 * export const Servers = McpPool.layer({
 *   servers: { deploy: ServerConfig.stdio({ command: "deploy-mcp" }) }
 * }).pipe(Layer.provide(Consent))
 * ```
 *
 * @since 0.1.0
 */
import type {
  CreateMessageRequestParams,
  CreateMessageResult,
  CreateMessageResultWithTools,
  ElicitRequestFormParams,
  ElicitRequestURLParams,
  ElicitResult,
  Root
} from "@modelcontextprotocol/client"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

/**
 * Who asks.
 *
 * @since 0.1.0
 */
export interface Asking {
  /** Its name in the pool, or in the connection. */
  readonly server: string
}

/**
 * The host does not want to answer. The text is told to the server, as it is; every other failure of a handler is told
 * without its details.
 *
 * @since 0.1.0
 */
export class Refused extends Schema.TaggedError<Refused>("@scoped-mcp/core/HostHandlers/Refused")("Refused", {
  text: Schema.String
}) {
  override get message() {
    return this.text
  }
}

/**
 * Asks a model on behalf of a server. A person should be able to look at the question and the answer.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/client/sampling
 *
 * @since 0.1.0
 */
export class Sampling extends Context.Service<
  Sampling,
  {
    /** Runs in the connection's scope; interrupted when the server does not want the answer any more. */
    readonly createMessage: (
      request: CreateMessageRequestParams,
      from: Asking
    ) => Effect.Effect<CreateMessageResult | CreateMessageResultWithTools, Refused>
    /** The model may be given tools with a question. Default false. */
    readonly tools?: boolean | undefined
  }
>()("@scoped-mcp/core/HostHandlers/Sampling") {}

/**
 * Asks a person on behalf of a server: with a form in the host, by sending them to an address, or both. An accepted form
 * gets the defaults of its schema for what it leaves out. An address comes from the server: show where it leads, and
 * open nothing without consent.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation
 *
 * @since 0.1.0
 */
export class Elicitation extends Context.Service<
  Elicitation,
  {
    readonly form?:
      | ((request: ElicitRequestFormParams, from: Asking) => Effect.Effect<ElicitResult, Refused>)
      | undefined
    /** Whether the person went there; what they did there the server hears by itself. */
    readonly url?:
      | ((
          request: Omit<ElicitRequestURLParams, "elicitationId"> & { readonly elicitationId?: string | undefined },
          from: Asking
        ) => Effect.Effect<ElicitResult, Refused>)
      | undefined
  }
>()("@scoped-mcp/core/HostHandlers/Elicitation") {}

/**
 * The folders that a server may work in.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/client/roots
 *
 * @since 0.1.0
 */
export class Roots extends Context.Service<
  Roots,
  {
    readonly list: (from: Asking) => Effect.Effect<ReadonlyArray<Root>, Refused>
    /** Servers of the 2025 era are told at each element that there are other ones now. Default: they never change. */
    readonly changes?: Stream.Stream<unknown> | undefined
  }
>()("@scoped-mcp/core/HostHandlers/Roots") {}
