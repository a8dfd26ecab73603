/** The MCP SDK's client at its edge: handshake, negotiation, lists and notifications. Calls do not pass through it. */
import {
  Client,
  type Implementation,
  type Notification,
  type Prompt,
  type Resource,
  type ResourceTemplateType,
  SdkHttpError,
  type ServerCapabilities,
  type Tool,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import { listing, type ResolvedLimits } from "../Limits.ts"
import { AuthRequired, CallTimeout, McpError, ProtocolError, type Reason } from "../McpError.ts"
import type { Wire } from "../Wire.ts"

/** Deadlines are ours and stand outside; the SDK's own is the longest that a timer can have. */
const noTimeout = 2_147_483_647

export interface Session {
  readonly protocolVersion: string
  readonly serverInfo: Implementation | undefined
  readonly capabilities: ServerCapabilities
  readonly instructions: string | undefined
  readonly listTools: Effect.Effect<ReadonlyArray<Tool>, McpError>
  readonly listResources: Effect.Effect<ReadonlyArray<Resource>, McpError>
  readonly listResourceTemplates: Effect.Effect<ReadonlyArray<ResourceTemplateType>, McpError>
  readonly listPrompts: Effect.Effect<ReadonlyArray<Prompt>, McpError>
}

/** What failed in the handshake; an `AuthRequired` keeps its own reason. */
export type HandshakeFailure = { readonly detail: string; readonly auth: Reason | undefined }

const causeText = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  // Node's fetch says "fetch failed" and keeps the reason one level down.
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message
}

const authRequired = (server: string, cause: unknown): Reason | undefined => {
  // The wire's own reason, which the SDK has passed on.
  if (cause instanceof UnauthorizedError && cause.cause instanceof McpError) return cause.cause.reason
  const status = cause instanceof SdkHttpError ? cause.status : undefined
  if (cause instanceof UnauthorizedError || status === 401) return new AuthRequired({ server, status: 401 })
  return status === 403 ? new AuthRequired({ server, status }) : undefined
}

export const open = Effect.fnUntraced(function* (
  server: string,
  wire: Wire,
  limits: ResolvedLimits,
  scrub: (text: string) => string,
  onNotification: (notification: Notification) => void
): Effect.fn.Return<Session, HandshakeFailure> {
  const client = new Client({ name: "scoped-mcp", version: "0.1.0" }, { listMaxPages: listing.maxPages })
  client.fallbackNotificationHandler = (notification) => {
    onNotification(notification)
    return Promise.resolve()
  }

  yield* Effect.tryPromise({
    try: (signal) => client.connect(wire.transport(), { signal, timeout: noTimeout }),
    catch: (cause): HandshakeFailure => ({ detail: scrub(causeText(cause)), auth: authRequired(server, cause) })
  })

  const list = <A, R>(
    method: string,
    offered: unknown,
    run: (options: {
      readonly cacheMode: "bypass"
      readonly signal: AbortSignal
      readonly timeout: number
    }) => Promise<R>,
    items: (result: R) => ReadonlyArray<A>
  ): Effect.Effect<ReadonlyArray<A>, McpError> => {
    const failed = (detail: string, answered: boolean): Reason =>
      new ProtocolError({ server, request: method, detail, delivery: answered ? "Answered" : "OutcomeUnknown" })
    // The SDK answers a list that the server does not offer with a line on stdout; it is not asked.
    if (offered === undefined) return Effect.succeed([])
    return Effect.tryPromise({
      try: (signal) => run({ cacheMode: "bypass", signal, timeout: noTimeout }),
      catch: (cause) => new McpError({ reason: authRequired(server, cause) ?? failed(scrub(causeText(cause)), false) })
    }).pipe(
      Effect.map(items),
      Effect.filterOrFail(
        (all) => all.length <= listing.maxItems,
        (all) => new McpError({ reason: failed(`it lists ${all.length} items; ${listing.maxItems} are allowed`, true) })
      ),
      Effect.timeoutOrElse({
        duration: limits.callTimeout,
        orElse: () => {
          const reason = { server, request: method, phase: "Total", limit: limits.callTimeout } as const
          return Effect.fail(new McpError({ reason: new CallTimeout({ ...reason, delivery: "OutcomeUnknown" }) }))
        }
      })
    )
  }

  const capabilities = client.getServerCapabilities() ?? {}
  return {
    protocolVersion: client.getNegotiatedProtocolVersion() ?? "unknown",
    serverInfo: client.getServerVersion(),
    capabilities,
    instructions: client.getInstructions(),
    listTools: list(
      "tools/list",
      capabilities.tools,
      (options) => client.listTools(undefined, options),
      (result) => result.tools
    ),
    listResources: list(
      "resources/list",
      capabilities.resources,
      (options) => client.listResources(undefined, options),
      (result) => result.resources
    ),
    listResourceTemplates: list(
      "resources/templates/list",
      capabilities.resources,
      (options) => client.listResourceTemplates(undefined, options),
      (result) => result.resourceTemplates
    ),
    listPrompts: list(
      "prompts/list",
      capabilities.prompts,
      (options) => client.listPrompts(undefined, options),
      (result) => result.prompts
    )
  }
})
