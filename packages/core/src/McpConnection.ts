/**
 * One live, initialised session with one MCP server, owned by a scope: opened by a Layer, and closed with everything it
 * started when the scope closes, however it closes.
 *
 * @example
 * ```ts
 * import { McpConnection, ServerConfig } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * const config = ServerConfig.stdio({ command: "npx", args: ["-y", "@modelcontextprotocol/server-filesystem", "."] })
 *
 * // A tag of its own for each known server, so that several live in one context.
 * export class Files extends McpConnection.Service<Files>()("files", config) {}
 *
 * export const program = Effect.gen(function*() {
 *   const files = yield* Files
 *   const result = yield* files.callTool({ tool: "list_directory", arguments: { path: "." } })
 *   yield* Effect.log(result.text)
 * }).pipe(Effect.provide(Files.layer))
 * ```
 *
 * A layer value is built once in a program, however often it is provided: the same reference is the same connection.
 *
 * @since 0.1.0
 */
import type {
  CompleteResult,
  GetPromptResult,
  Implementation,
  LoggingLevel,
  Notification,
  Prompt,
  ReadResourceResult,
  Resource,
  ResourceTemplateType,
  ServerCapabilities,
  Tool
} from "@modelcontextprotocol/client"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Authorized } from "./Authorizers.ts"
import * as CallEngine from "./CallEngine.ts"
import type { HttpDispatcher } from "./HttpDispatcher.ts"
import { authorise } from "./internal/authorise.ts"
import { ConnectReport } from "./internal/ConnectReport.ts"
import * as DeadlineWheel from "./internal/DeadlineWheel.ts"
import { EraVerdict } from "./internal/EraVerdict.ts"
import { isRecord } from "./internal/frames.ts"
import * as Host from "./internal/Host.ts"
import * as HttpWire from "./internal/HttpWire.ts"
import * as InputRounds from "./internal/InputRounds.ts"
import * as KnownTools from "./internal/KnownTools.ts"
import * as Listing from "./internal/Listing.ts"
import * as Negotiation from "./internal/Negotiation.ts"
import * as Redaction from "./internal/redaction.ts"
import * as SseWire from "./internal/SseWire.ts"
import * as StdioWire from "./internal/StdioWire.ts"
import * as Subscriptions from "./internal/Subscriptions.ts"
import * as ToolHeaders from "./internal/toolHeaders.ts"
import { TraceState as traceState } from "./internal/traceContext.ts"
import * as TransportWire from "./internal/TransportWire.ts"
import {
  AuthorizationFailed,
  AuthRequired,
  ConnectFailed,
  type ConnectPhase,
  InvalidResult,
  McpError,
  ProtocolError,
  type Reason,
  ToolError
} from "./McpError.ts"
import { ProcessOwner, type StopStep } from "./ProcessOwner.ts"
import { joinIfAny } from "./Registry.ts"
import * as ServerConfig from "./ServerConfig.ts"
import type { FromTransport } from "./ServerSource.ts"
import * as ToolResult from "./ToolResult.ts"
import type { Wire, WireDiagnostics } from "./Wire.ts"

/**
 * What the platform must provide to reach servers that are data; `McpNode.layer` of `@scoped-mcp/node` does.
 *
 * @since 0.1.0
 */
export type Platform = ProcessOwner | HttpDispatcher

/**
 * What other tracing systems want to have passed on with a trace, as the header `tracestate` has it. It goes with each
 * request beside `traceparent`, which is made of the caller's span; without a span neither is sent. Taken from the span's
 * annotations, or else from the caller's context.
 *
 * @since 0.1.0
 */
export const TraceState: Context.Reference<string | undefined> = traceState

/**
 * What is known of a session from its handshake.
 *
 * @since 0.1.0
 */
export interface ConnectionInfo {
  readonly server: string
  /** Tells this connection from every other of the program. */
  readonly instanceId: string
  readonly target: string
  /** `legacy` opens with `initialize` and may have a session; `modern` (2026-07-28 and later) has neither. */
  readonly era: "legacy" | "modern"
  readonly protocolVersion: string
  readonly serverInfo: Implementation | undefined
  readonly capabilities: ServerCapabilities
  readonly instructions: string | undefined
  /** Time from the start to the end of the handshake. */
  readonly openedIn: Duration.Duration
}

/** @since 0.1.0 */
export interface CallTool extends CallEngine.CallOptions {
  readonly tool: string
  readonly arguments?: Readonly<Record<string, unknown>> | undefined
  /** What goes into the request's `_meta` beside what is ours there: an idempotency key, say. */
  readonly meta?: Readonly<Record<string, unknown>> | undefined
}

/**
 * A call whose structured content is read with a schema.
 *
 * @since 0.1.0
 */
export interface CallToolAs<A> extends CallTool {
  readonly schema: Schema.Codec<A, unknown>
}

/**
 * What a tool answered, with its structured content as `value`.
 *
 * @since 0.1.0
 */
export interface DecodedToolResult<A> extends ToolResult.ToolResult {
  readonly value: A
}

/** @since 0.1.0 */
export interface ReadResource extends CallEngine.CallOptions {
  readonly uri: string
}

/** @since 0.1.0 */
export interface GetPrompt extends CallEngine.CallOptions {
  readonly prompt: string
  readonly arguments?: Readonly<Record<string, string>> | undefined
}

/** @since 0.1.0 */
export interface Complete extends CallEngine.CallOptions {
  readonly ref: { readonly prompt: string } | { readonly uriTemplate: string }
  readonly argument: { readonly name: string; readonly value: string }
  /** Values already chosen for the other arguments. */
  readonly context?: Readonly<Record<string, string>> | undefined
}

/**
 * A request that has no verb of its own: those of extensions.
 *
 * @since 0.1.0
 */
export interface RawRequest extends CallEngine.CallOptions {
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>> | undefined
}

/** @since 0.1.0 */
export interface Connection {
  readonly info: ConnectionInfo
  /** Calls a tool. A tool that reports failure fails with `ToolError`. Interruption cancels the call on the server. */
  readonly callTool: {
    /** The structured content, or else the text read as JSON, has to be as the schema says; or it is an `InvalidResult`. */
    <A>(call: CallToolAs<A>): Effect.Effect<DecodedToolResult<A>, McpError>
    (call: CallTool): Effect.Effect<ToolResult.ToolResult, McpError>
  }
  readonly readResource: (read: ReadResource) => Effect.Effect<ReadResourceResult, McpError>
  readonly getPrompt: (get: GetPrompt) => Effect.Effect<GetPromptResult, McpError>
  readonly complete: (complete: Complete) => Effect.Effect<CompleteResult["completion"], McpError>
  /** Sends any request and gives its result as it is. */
  readonly request: (request: RawRequest) => Effect.Effect<Readonly<Record<string, unknown>>, McpError>
  readonly ping: Effect.Effect<void, McpError>
  /**
   * All tools, over all pages; empty when the server offers none. The lists of the other kinds likewise. All pages of a
   * list together have the limits of one call, and it has at most 100 pages and 10,000 items.
   */
  readonly listTools: Effect.Effect<ReadonlyArray<Tool>, McpError>
  readonly listResources: Effect.Effect<ReadonlyArray<Resource>, McpError>
  readonly listResourceTemplates: Effect.Effect<ReadonlyArray<ResourceTemplateType>, McpError>
  readonly listPrompts: Effect.Effect<ReadonlyArray<Prompt>, McpError>
  /** Notifications in the order they came, except progress, which goes to its call. A slow reader loses the oldest of 256. */
  readonly notifications: Stream.Stream<Notification>
  /** Until the scope closes, `notifications` has a word whenever the resource changes, and after each time it may have. */
  readonly subscribe: (uri: string) => Effect.Effect<void, McpError, Scope.Scope>
  /**
   * The least severe messages that the server sends as `notifications/message`. In the 2026 era they come with the answers to
   * later requests, and none come before this is set.
   */
  readonly setLogLevel: (level: LoggingLevel) => Effect.Effect<void, McpError>
  /** Waits until the connection has ended, by either side, and says why. */
  readonly closed: Effect.Effect<Reason>
  /** Ends the connection now, and tells what it took. Its scope does the same later, if nobody did. */
  readonly close: Effect.Effect<StopStep>
  readonly diagnostics: Effect.Effect<ConnectionDiagnostics>
}

/**
 * What a connection has seen besides messages, and what it is doing.
 *
 * @since 0.1.0
 */
export interface ConnectionDiagnostics extends WireDiagnostics {
  readonly pending: number
  /** Answers that nobody waited for: late, repeated or made up. */
  readonly strays: number
  /** Tools that were left out of the last list, because their headers are not declared as they must be over HTTP. */
  readonly hiddenTools: ReadonlyArray<{ readonly tool: string; readonly reason: string }>
  /** Results that were let through unchecked, because the schema of their tool, or the work that it makes, is beyond us. */
  readonly unchecked: number
}

/**
 * The connection of a program that has only one. Several with a tag each are made with {@link Service}.
 *
 * @since 0.1.0
 */
export class McpConnection extends Context.Service<McpConnection, Connection>()("@scoped-mcp/core/McpConnection") {}

const openWire = (
  server: string,
  config: ServerConfig.ServerConfig | FromTransport,
  wheel: DeadlineWheel.DeadlineWheelService,
  auth: Authorized | undefined
): Effect.Effect<Wire, unknown, Platform | Scope.Scope> => {
  switch (config._tag) {
    case "Stdio":
      return StdioWire.make(server, config)
    case "Http":
      return HttpWire.make(server, config, wheel, auth)
    case "Sse":
      return SseWire.make(server, config, wheel, auth)
    case "FromTransport":
      return TransportWire.make(server, config)
  }
}

const targetOf = (config: ServerConfig.ServerConfig | FromTransport): string =>
  config._tag === "FromTransport" ? config.identity : ServerConfig.target(config)

const secretsOf = (
  config: ServerConfig.ServerConfig | FromTransport
): Effect.Effect<ReadonlyArray<string>, never, ProcessOwner> => {
  if (config._tag === "FromTransport") return Effect.succeed([])
  if (config._tag !== "Stdio") return Effect.succeed(ServerConfig.secrets(config))
  return Effect.map(ProcessOwner, ({ added }) => ServerConfig.secrets(config, added(config.inheritEnv)))
}

const requestOf = (method: string, name: string): string => `${method} "${name}"`

/**
 * Opens a connection in the current scope.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  server: string,
  config: ServerConfig.ServerConfig | FromTransport
): Effect.fn.Return<Connection, McpError, Platform | Scope.Scope> {
  const limits = config.limits
  const auth = config._tag === "Http" || config._tag === "Sse" ? yield* authorise(server, config) : undefined
  const scrub = Redaction.make(yield* secretsOf(config), auth?.secrets)
  const target = scrub(targetOf(config))
  const shared = yield* Effect.serviceOption(DeadlineWheel.DeadlineWheel)
  const wheel = Option.isSome(shared) ? shared.value : yield* DeadlineWheel.make
  const report = yield* Effect.serviceOption(ConnectReport)
  const attempt = Option.isSome(report) ? report.value.attempt : 1
  const startedAt = wheel.now()

  let phase: ConnectPhase = "Start"
  let wire: Wire | undefined
  const failed = (detail: string): McpError => {
    const seen = wire?.diagnostics()
    return new McpError({
      reason: new ConnectFailed({
        server,
        phase,
        target,
        detail,
        exitCode: seen?.exitCode,
        signal: seen?.signal,
        stderr: seen?.stderr ?? "",
        noise: seen?.noise ?? [],
        attempt
      })
    })
  }

  // Bounded, so that a reader who has stopped reading costs no memory; it loses the oldest.
  const notifications = yield* Effect.acquireRelease(PubSub.sliding<Notification>(256), PubSub.shutdown)

  const notify = (notification: Notification) => {
    // Not `publishUnsafe`, which keeps the oldest and drops the newest, for all readers.
    Effect.runSync(PubSub.publish(notifications, notification))
  }
  const host = yield* Host.make(server)
  const verdict = Option.getOrUndefined(yield* Effect.serviceOption(EraVerdict))
  // What runs for the connection, the host's handlers above all, ends with it.
  const run = yield* FiberSet.runtime(yield* FiberSet.make())()

  const openLine = Effect.gen(function* () {
    phase = "Start"
    const opened = yield* Effect.mapError(openWire(server, config, wheel, auth), (cause) =>
      // Whoever wants credentials says so himself.
      cause instanceof McpError ? cause : failed(scrub(cause instanceof Error ? cause.message : String(cause)))
    )
    wire = opened
    phase = "Handshake"
    return { wire: opened, engine: CallEngine.make(server, opened, wheel, limits, scrub, notify) }
  })

  const session = yield* Negotiation.open({
    server,
    era: config.era,
    first: config._tag === "Http" ? "modern" : "legacy",
    verdict,
    openLine,
    host,
    run,
    limit: limits.connectTimeout,
    scrub
  }).pipe(
    Effect.mapError((failure) =>
      failure instanceof McpError
        ? failure
        : failure instanceof AuthRequired || failure instanceof AuthorizationFailed
          ? new McpError({ reason: failure })
          : failed(failure.detail)
    ),
    Effect.timeoutOrElse({
      duration: limits.connectTimeout,
      orElse: () => Effect.fail(failed(`no answer within ${Duration.format(limits.connectTimeout)} (connectTimeout)`))
    }),
    // Waiters hear of a failure at once; what was opened is released meanwhile.
    Effect.tapError((error) => (Option.isSome(report) ? report.value.failed(error) : Effect.void))
  )
  const { capabilities, engine, era, wire: open } = session
  const subscriptions = yield* Subscriptions.make({ server, engine, wheel, limits, era, capabilities, notify })
  // Registered last, so it runs first: calls fail and the line ends in good order before anything under it is released.
  yield* Effect.addFinalizer(() => open.stop)

  const id = yield* Random.nextIntBetween(0, 0x7fff_ffff)
  const info: ConnectionInfo = {
    server,
    instanceId: `${server}-${id.toString(36)}`,
    target,
    era,
    protocolVersion: session.protocolVersion,
    serverInfo: session.serverInfo,
    capabilities,
    instructions: session.instructions,
    openedIn: Duration.millis(Math.round(wheel.now() - startedAt))
  }

  // One of a pool is the pool's to close.
  if (Option.isNone(report)) {
    const joined = yield* Scope.fork(yield* Effect.scope)
    const left = Scope.close(joined, Exit.void)
    const about = { namespace: undefined, server, instanceId: info.instanceId, pid: open.diagnostics().pid, target }
    yield* Scope.provide(
      joinIfAny(about, () => Effect.map(Effect.ensuring(open.stop, left), (step) => step !== "Survived")),
      joined
    )
    yield* Effect.forkScoped(Effect.andThen(open.closed, left))
  }

  const scrubbed = Redaction.deep(scrub)
  const unusable = (request: string, detail: string) =>
    new McpError({ reason: new InvalidResult({ server, request, detail }) })

  const list = <A>(kind: Listing.Kind<A>, offered: unknown): Effect.Effect<ReadonlyArray<A>, McpError> =>
    offered === undefined ? Effect.succeed([]) : Listing.all(server, engine, wheel, kind)

  const sendsHeaders = era === "modern" && config._tag === "Http"
  const known = KnownTools.make(sendsHeaders)
  const listTools = Effect.tap(
    Effect.map(list(Listing.tools, capabilities.tools), (tools) => known.learn(tools)),
    () => {
      const hidden = known.hidden()
      if (hidden.length === 0) return Effect.void
      const tools = hidden.map(({ reason, tool }) => `"${tool}" (${reason})`).join(", ")
      return Effect.logWarning(`Tools of "${server}" that cannot be called over HTTP are left out: ${scrub(tools)}`)
    }
  )

  const paramsOf = ({ arguments: args = {}, meta, tool }: CallTool) =>
    meta === undefined ? { name: tool, arguments: args } : { name: tool, arguments: args, _meta: meta }

  /** In the 2026 era the server may answer with a question; in the other it asks beside the request. */
  const sending = sendsHeaders ? ToolHeaders.make(engine, wheel, limits, known, listTools) : engine.request
  const request =
    era === "modern"
      ? InputRounds.make({ server, send: sending, wheel, limits, host, scrub, closed: open.closed })
      : sending

  const callPlain = (call: CallTool): Effect.Effect<ToolResult.ToolResult, McpError> =>
    Effect.flatMap(request("tools/call", paramsOf(call), call), (raw) => {
      const result = ToolResult.fromResult(server, call.tool, raw)
      if (result instanceof InvalidResult) return new McpError({ reason: result })
      if (raw["isError"] === true) {
        return new McpError({
          reason: new ToolError({ server, tool: call.tool, text: scrub(result.text), result: scrubbed(raw) })
        })
      }
      const wrong = known.wrong(call.tool, raw)
      return wrong === undefined ? Effect.succeed(result) : unusable(`tool "${call.tool}"`, scrub(wrong))
    })

  function callTool<A>(call: CallToolAs<A>): Effect.Effect<DecodedToolResult<A>, McpError>
  function callTool(call: CallTool): Effect.Effect<ToolResult.ToolResult, McpError>
  function callTool(call: CallTool & { readonly schema?: Schema.Codec<unknown, unknown> | undefined }) {
    const { schema } = call
    if (schema === undefined) return callPlain(call)
    return Effect.flatMap(callPlain(call), (result) =>
      Effect.map(result.decode(schema), (value) => Object.assign(result, { value }))
    )
  }

  return {
    info,
    callTool,
    readResource: (read) =>
      Effect.flatMap(request("resources/read", { uri: read.uri }, read), (raw) =>
        Array.isArray(raw["contents"])
          ? Effect.succeed(raw as unknown as ReadResourceResult)
          : unusable(requestOf("resources/read", read.uri), "it has no contents")
      ),
    getPrompt: (get) =>
      Effect.flatMap(request("prompts/get", { name: get.prompt, arguments: get.arguments ?? {} }, get), (raw) =>
        Array.isArray(raw["messages"])
          ? Effect.succeed(raw as unknown as GetPromptResult)
          : unusable(requestOf("prompts/get", get.prompt), "it has no messages")
      ),
    complete: (complete) => {
      const ref =
        "prompt" in complete.ref
          ? { type: "ref/prompt", name: complete.ref.prompt }
          : { type: "ref/resource", uri: complete.ref.uriTemplate }
      const context = complete.context === undefined ? {} : { context: { arguments: complete.context } }
      const params = { ref, argument: complete.argument, ...context }
      return Effect.flatMap(engine.request("completion/complete", params, complete), (raw) => {
        const completion = raw["completion"]
        return isRecord(completion) && Array.isArray(completion["values"])
          ? Effect.succeed(completion as unknown as CompleteResult["completion"])
          : unusable("completion/complete", "it has no values")
      })
    },
    request: ({ method, params, ...options }) => engine.request(method, params ?? {}, options),
    ping: Effect.asVoid(engine.request(era === "modern" ? "server/discover" : "ping", {})),
    listTools,
    listResources: list(Listing.resources, capabilities.resources),
    listResourceTemplates: list(Listing.resourceTemplates, capabilities.resources),
    listPrompts: list(Listing.prompts, capabilities.prompts),
    notifications: Stream.fromPubSub(notifications),
    subscribe: subscriptions.subscribe,
    setLogLevel: (level) => {
      if (capabilities.logging === undefined) {
        const detail = "it does not offer log messages"
        const reason = { server, request: "logging/setLevel", detail, delivery: "NotSent" } as const
        return Effect.fail(new McpError({ reason: new ProtocolError(reason) }))
      }
      return era === "modern"
        ? Effect.sync(() => engine.setLogLevel(level))
        : Effect.asVoid(engine.request("logging/setLevel", { level }))
    },
    closed: Effect.map(open.closed, (why) => why.toReason("NotSent")),
    close: open.stop,
    diagnostics: Effect.sync(() => ({
      ...open.diagnostics(),
      pending: engine.pending(),
      strays: engine.strays(),
      hiddenTools: known.hidden().map(({ reason, tool }) => ({ tool: scrub(tool), reason: scrub(reason) })),
      unchecked: known.unchecked()
    }))
  }
})

/**
 * The connection of one server as a layer. Closing takes at most the server's `closeTimeout`.
 *
 * @since 0.1.0
 */
export const layer = (
  config: ServerConfig.ServerConfig | FromTransport,
  options?: {
    /** Name in errors, logs and statistics. Default: where the server is. */
    readonly server?: string | undefined
  }
): Layer.Layer<McpConnection, McpError, Platform> =>
  Layer.effect(McpConnection, make(options?.server ?? targetOf(config), config))

/**
 * The tag of one server's connection, with the layer that opens it.
 *
 * @since 0.1.0
 */
export interface ConnectionTag<Self, Server extends string> extends Context.ServiceClass<
  Self,
  `@scoped-mcp/core/McpConnection/${Server}`,
  Connection
> {
  readonly layer: Layer.Layer<Self, McpError, Platform>
}

/**
 * Makes the class that is the tag of one server's connection: `class Files extends McpConnection.Service<Files>()("files", config) {}`.
 *
 * @since 0.1.0
 */
export const Service =
  <Self>() =>
  <const Server extends string>(
    server: Server,
    config: ServerConfig.ServerConfig | FromTransport
  ): ConnectionTag<Self, Server> => {
    const tag = Context.Service<Self, Connection>()(`@scoped-mcp/core/McpConnection/${server}` as const)
    return Object.assign(tag, { layer: Layer.effect(tag, make(server, config)) })
  }
