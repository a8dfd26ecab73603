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
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Authorized } from "./Authorizers.ts"
import * as CallEngine from "./CallEngine.ts"
import type { HttpDispatcher } from "./HttpDispatcher.ts"
import { authorise } from "./internal/authorise.ts"
import { ConnectReport } from "./internal/ConnectReport.ts"
import * as DeadlineWheel from "./internal/DeadlineWheel.ts"
import { isRecord } from "./internal/frames.ts"
import * as HttpWire from "./internal/HttpWire.ts"
import * as Redaction from "./internal/redaction.ts"
import * as SdkSession from "./internal/SdkSession.ts"
import * as SseWire from "./internal/SseWire.ts"
import * as StdioWire from "./internal/StdioWire.ts"
import * as TransportWire from "./internal/TransportWire.ts"
import { ConnectFailed, type ConnectPhase, InvalidResult, McpError, type Reason, ToolError } from "./McpError.ts"
import { ProcessOwner, type StopStep } from "./ProcessOwner.ts"
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
 * What is known of a session from its handshake.
 *
 * @since 0.1.0
 */
export interface ConnectionInfo {
  readonly server: string
  /** Tells this connection from every other of the program. */
  readonly instanceId: string
  readonly target: string
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

/** @since 0.1.0 */
export interface Connection {
  readonly info: ConnectionInfo
  /** Calls a tool. A tool that reports failure fails with `ToolError`. Interruption cancels the call on the server. */
  readonly callTool: (call: CallTool) => Effect.Effect<ToolResult.ToolResult, McpError>
  readonly readResource: (read: ReadResource) => Effect.Effect<ReadResourceResult, McpError>
  readonly getPrompt: (get: GetPrompt) => Effect.Effect<GetPromptResult, McpError>
  readonly complete: (complete: Complete) => Effect.Effect<CompleteResult["completion"], McpError>
  readonly ping: Effect.Effect<void, McpError>
  /** All tools, over all pages; empty when the server offers none. The lists of the other kinds likewise. */
  readonly listTools: Effect.Effect<ReadonlyArray<Tool>, McpError>
  readonly listResources: Effect.Effect<ReadonlyArray<Resource>, McpError>
  readonly listResourceTemplates: Effect.Effect<ReadonlyArray<ResourceTemplateType>, McpError>
  readonly listPrompts: Effect.Effect<ReadonlyArray<Prompt>, McpError>
  /** Notifications in the order they came, except progress, which goes to its call. A slow reader loses the oldest of 256. */
  readonly notifications: Stream.Stream<Notification>
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

  const session = yield* Effect.gen(function* () {
    wire = yield* Effect.mapError(openWire(server, config, wheel, auth), (cause) =>
      // Whoever wants credentials says so himself.
      cause instanceof McpError ? cause : failed(scrub(cause instanceof Error ? cause.message : String(cause)))
    )
    phase = "Handshake"
    return yield* Effect.mapError(
      SdkSession.open(server, wire, limits, scrub, (notification) => {
        // Not `publishUnsafe`, which keeps the oldest and drops the newest, for all readers.
        Effect.runSync(PubSub.publish(notifications, notification))
      }),
      ({ auth, detail }) => (auth === undefined ? failed(detail) : new McpError({ reason: auth }))
    )
  }).pipe(
    Effect.timeoutOrElse({
      duration: limits.connectTimeout,
      orElse: () => Effect.fail(failed(`no answer within ${Duration.format(limits.connectTimeout)} (connectTimeout)`))
    }),
    // Waiters hear of a failure at once; what was opened is released meanwhile.
    Effect.tapError((error) => (Option.isSome(report) ? report.value.failed(error) : Effect.void))
  )
  const open: Wire = wire!
  const engine = CallEngine.make(server, open, wheel, limits, scrub)
  // Registered last, so it runs first: calls fail and the line ends in good order before anything under it is released.
  yield* Effect.addFinalizer(() => open.stop)

  const id = yield* Random.nextIntBetween(0, 0x7fff_ffff)
  const info: ConnectionInfo = {
    server,
    instanceId: `${server}-${id.toString(36)}`,
    target,
    protocolVersion: session.protocolVersion,
    serverInfo: session.serverInfo,
    capabilities: session.capabilities,
    instructions: session.instructions,
    openedIn: Duration.millis(Math.round(wheel.now() - startedAt))
  }

  const scrubbed = Redaction.deep(scrub)
  const unusable = (request: string, detail: string) =>
    new McpError({ reason: new InvalidResult({ server, request, detail }) })

  return {
    info,
    callTool: (call) =>
      Effect.flatMap(
        engine.request("tools/call", { name: call.tool, arguments: call.arguments ?? {} }, call),
        (raw) => {
          const result = ToolResult.fromResult(server, call.tool, raw)
          if (result instanceof InvalidResult) return new McpError({ reason: result })
          if (raw["isError"] !== true) return Effect.succeed(result)
          return new McpError({
            reason: new ToolError({ server, tool: call.tool, text: scrub(result.text), result: scrubbed(raw) })
          })
        }
      ),
    readResource: (read) =>
      Effect.flatMap(engine.request("resources/read", { uri: read.uri }, read), (raw) =>
        Array.isArray(raw["contents"])
          ? Effect.succeed(raw as unknown as ReadResourceResult)
          : unusable(requestOf("resources/read", read.uri), "it has no contents")
      ),
    getPrompt: (get) =>
      Effect.flatMap(engine.request("prompts/get", { name: get.prompt, arguments: get.arguments ?? {} }, get), (raw) =>
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
    ping: Effect.asVoid(engine.request("ping", {})),
    listTools: session.listTools,
    listResources: session.listResources,
    listResourceTemplates: session.listResourceTemplates,
    listPrompts: session.listPrompts,
    notifications: Stream.fromPubSub(notifications),
    closed: Effect.map(open.closed, (why) => why.toReason("NotSent")),
    close: open.stop,
    diagnostics: Effect.sync(() => ({
      ...open.diagnostics(),
      pending: engine.pending(),
      strays: engine.strays()
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
