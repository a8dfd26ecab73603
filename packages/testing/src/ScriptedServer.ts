/**
 * An MCP server as data: its tools with their handlers, its resources and prompts. One definition serves in memory
 * under virtual time, as a real process, and over real HTTP.
 *
 * @example
 * ```ts
 * import { ScriptedServer } from "@scoped-mcp/testing"
 * import { Effect, Schema } from "effect"
 *
 * const search = ScriptedServer.tool({
 *   name: "search",
 *   arguments: Schema.Struct({ query: Schema.String }),
 *   handler: ({ query }) => Effect.succeed(`nothing found for ${query}`)
 * })
 *
 * export const library = ScriptedServer.make({ name: "library", tools: [search] })
 * export const { source, journal } = ScriptedServer.inMemory(library)
 * ```
 *
 * @since 0.1.0
 */
import type { ContentBlock, GetPromptResult, PromptArgument, ReadResourceResult } from "@modelcontextprotocol/client"
import type { Limits, ServerConfig, ServerSource } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as httpServer from "./internal/httpServer.ts"
import * as memoryServer from "./internal/memoryServer.ts"
import * as runner from "./internal/runner.ts"
import { objectSchema } from "./internal/toolSchema.ts"
import type { Journal } from "./Journal.ts"
import type { Script } from "./Script.ts"

/**
 * The eras of the protocol: `2025` opens with `initialize` and has sessions, `2026` (2026-07-28) has neither.
 *
 * @since 0.1.0
 */
export type Era = "2025" | "2026"

/**
 * What a handler knows of its call, and what it can do besides answering.
 *
 * @since 0.1.0
 */
export interface CallContext {
  readonly session: string
  readonly requestId: string | number
  /** Which run of this tool it is, over all connections, counted from 1. */
  readonly execution: number
  /** Reports progress, if the caller asked for it. */
  readonly progress: (progress: number, total?: number, message?: string) => Effect.Effect<void>
  /** Sends a notification to the caller's session. */
  readonly notify: (method: string, params?: Readonly<Record<string, unknown>>) => Effect.Effect<void>
}

/**
 * What a handler answers; a text stands for one block of text.
 *
 * @since 0.1.0
 */
export type Answer<Structured = Readonly<Record<string, unknown>>> =
  | string
  | {
      readonly content?: ReadonlyArray<ContentBlock> | undefined
      readonly structuredContent?: Structured | undefined
      readonly isError?: boolean | undefined
    }

/**
 * A tool with its handler; made with {@link tool}.
 *
 * @since 0.1.0
 */
export interface Tool {
  readonly name: string
  readonly listing: Readonly<Record<string, unknown>>
  readonly idempotencyId: (args: Readonly<Record<string, unknown>>) => string
  /** Reads the arguments, or fails with what is wrong with them; what comes out runs the handler. */
  readonly prepare: (
    args: Readonly<Record<string, unknown>>
  ) => Effect.Effect<(context: CallContext) => Effect.Effect<Readonly<Record<string, unknown>>, unknown>, unknown>
}

/** @since 0.1.0 */
export interface ToolOptions<A, Structured> {
  readonly name: string
  readonly description?: string | undefined
  /** The arguments. Default: none. */
  readonly arguments?: Schema.Codec<A, unknown> | undefined
  /** The structured content, if it has any. */
  readonly output?: Schema.Codec<Structured, unknown> | undefined
  /** Hints such as `readOnlyHint`, as the protocol has them. */
  readonly annotations?: Readonly<Record<string, unknown>> | undefined
  /**
   * Names a piece of work by the arguments as they came, so that the journal can tell whether it was done twice.
   * Default: the arguments as JSON.
   */
  readonly idempotencyId?: ((args: Readonly<Record<string, unknown>>) => string) | undefined
  /** A failure is answered as the tool's own error; a defect as an internal error of the server. */
  readonly handler: (args: A, context: CallContext) => Effect.Effect<Answer<Structured>, unknown>
}

/** @since 0.1.0 */
export interface Resource {
  readonly uri: string
  readonly name: string
  readonly mimeType?: string | undefined
  readonly read: Effect.Effect<string | ReadResourceResult["contents"], unknown>
}

/** @since 0.1.0 */
export interface ResourceTemplate {
  readonly uriTemplate: string
  readonly name: string
}

/** @since 0.1.0 */
export interface Prompt {
  readonly name: string
  readonly arguments?: ReadonlyArray<PromptArgument> | undefined
  readonly get: (args: Readonly<Record<string, string>>) => Effect.Effect<string | GetPromptResult["messages"], unknown>
}

/**
 * What a client asks to have completed: an argument of a prompt, or of a template of resources.
 *
 * @since 0.1.0
 */
export interface Completion {
  /** Name of the prompt, or the template. */
  readonly of: string
  readonly argument: string
  readonly value: string
}

/** @since 0.1.0 */
export interface Options {
  readonly name: string
  readonly version?: string | undefined
  readonly instructions?: string | undefined
  /** Default: both. */
  readonly eras?: ReadonlyArray<Era> | undefined
  readonly tools?: ReadonlyArray<Tool> | undefined
  readonly resources?: ReadonlyArray<Resource> | undefined
  readonly resourceTemplates?: ReadonlyArray<ResourceTemplate> | undefined
  readonly prompts?: ReadonlyArray<Prompt> | undefined
  readonly complete?: ((completion: Completion) => Effect.Effect<ReadonlyArray<string>, unknown>) | undefined
  /** Items of a list per page. Default: all. */
  readonly pageSize?: number | undefined
  /** What each session does first, before the rest of the definition serves. */
  readonly script?: Script | undefined
}

/**
 * A whole server. Nothing runs until it is served.
 *
 * @since 0.1.0
 */
export interface Definition {
  readonly _tag: "ScriptedServer"
  readonly name: string
  readonly version: string
  readonly instructions: string | undefined
  readonly eras: ReadonlyArray<Era>
  readonly tools: ReadonlyArray<Tool>
  readonly resources: ReadonlyArray<Resource>
  readonly resourceTemplates: ReadonlyArray<ResourceTemplate>
  readonly prompts: ReadonlyArray<Prompt>
  readonly complete: ((completion: Completion) => Effect.Effect<ReadonlyArray<string>, unknown>) | undefined
  readonly pageSize: number
  readonly script: Script
}

/**
 * A running server, seen by the test.
 *
 * @since 0.1.0
 */
export interface Handle {
  readonly journal: Journal
  /** Sends a notification to every open session; in the 2026 era to those that listen for it. */
  readonly notify: (method: string, params?: Readonly<Record<string, unknown>>) => Effect.Effect<void>
}

/**
 * A server in this process, for `servers` of a pool or for `McpConnection`. Each connection is a session of its own.
 *
 * @since 0.1.0
 */
export interface InMemory extends Handle {
  readonly source: ServerSource.FromTransport
}

/**
 * A server on a loopback port of this machine.
 *
 * @since 0.1.0
 */
export interface OverHttp extends Handle {
  /** Speaks the 2025 era with the server where it knows both; `{ ...config, era: "auto" }` finds out. */
  readonly config: ServerConfig.Http
  readonly url: URL
}

/** @since 0.1.0 */
export interface StdioOptions extends Limits.ServerLimits {
  /** The module that has the definition, or the faulty server: `new URL("./library.ts", import.meta.url)`. */
  readonly module: URL
  /** Name of its export. Default `default`. */
  readonly export?: string | undefined
  /** The file that the process writes its journal to; see `Journal.temporary`. Default: none is written. */
  readonly journal?: string | undefined
  readonly env?: ServerConfig.StdioOptions["env"]
  /** Starts it through `sh -c`, as many launchers do, so that the process known to the client is the shell. */
  readonly shell?: boolean | undefined
}

/** @since 0.1.0 */
export interface HttpOptions extends Limits.ServerLimits {
  /** Requests without this bearer token are refused with 401. The returned `config` has it. */
  readonly bearer?: string | undefined
  /** How requests are answered: one JSON document, an event stream, or (`auto`) a stream only where one is needed. Default `auto`. */
  readonly answers?: "json" | "sse" | "auto" | undefined
}

/**
 * Makes a tool.
 *
 * @since 0.1.0
 */
export const tool = <A = Readonly<Record<string, unknown>>, Structured = Readonly<Record<string, unknown>>>(
  options: ToolOptions<A, Structured>
): Tool => {
  const { arguments: input, handler, idempotencyId, name, output } = options
  const decode =
    input === undefined
      ? (args: unknown) => Effect.succeed(args as A)
      : Schema.decodeUnknownEffect(Schema.toCodecJson(input))
  const encode =
    output === undefined
      ? (structured: Structured): Effect.Effect<unknown> => Effect.succeed(structured)
      : Schema.encodeEffect(Schema.toCodecJson(output))

  const toResult = Effect.fnUntraced(function* (answer: Answer<Structured>) {
    if (typeof answer === "string") return { content: [{ type: "text", text: answer }] }
    if (answer.structuredContent === undefined) return { content: [], ...answer }
    const structured = yield* encode(answer.structuredContent)
    // Structured content has its text beside it, for clients that know none.
    const content = answer.content ?? [{ type: "text", text: JSON.stringify(structured) }]
    return { ...answer, content, structuredContent: structured }
  })

  return {
    name,
    listing: {
      name,
      description: options.description,
      inputSchema: input === undefined ? { type: "object" } : objectSchema(input),
      outputSchema: output === undefined ? undefined : objectSchema(output),
      annotations: options.annotations
    },
    idempotencyId: idempotencyId ?? ((args) => JSON.stringify(args)),
    prepare: (args) =>
      Effect.map(decode(args), (decoded) => (context) => Effect.flatMap(handler(decoded, context), toResult))
  }
}

/**
 * Makes a server.
 *
 * @since 0.1.0
 */
export const make = (options: Options): Definition => ({
  _tag: "ScriptedServer",
  name: options.name,
  version: options.version ?? "1.0.0",
  instructions: options.instructions,
  eras: options.eras ?? ["2025", "2026"],
  tools: options.tools ?? [],
  resources: options.resources ?? [],
  resourceTemplates: options.resourceTemplates ?? [],
  prompts: options.prompts ?? [],
  complete: options.complete,
  pageSize: options.pageSize ?? Number.MAX_SAFE_INTEGER,
  script: options.script ?? []
})

/**
 * Serves in memory, on the clock of the test.
 *
 * @since 0.1.0
 */
export const inMemory = (definition: Definition, limits: Limits.ServerLimits = {}): InMemory =>
  memoryServer.make(definition, [], limits)

/**
 * Serves as a real process: the configuration of a server that runs the module's export with the Node.js of this
 * process. A module in TypeScript is run as it is.
 *
 * @since 0.1.0
 */
export const stdio = (options: StdioOptions): ServerConfig.Stdio => runner.stdio(options, [])

/**
 * Serves over Streamable HTTP on a free port of the loopback interface until the scope closes. Handlers run on the clock
 * of whoever starts it; sockets are real, so use it with a live clock.
 *
 * @since 0.1.0
 */
export const http = (definition: Definition, options: HttpOptions = {}): Effect.Effect<OverHttp, never, Scope.Scope> =>
  httpServer.make(definition, [], options)
