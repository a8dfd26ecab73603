/**
 * What goes into a pool and comes out of it, as plain types: no other package is needed to read them. Lengths of time are
 * milliseconds, except in a configuration, where a bare number is seconds as in a file.
 *
 * @since 0.1.0
 */

import type { McpError } from "./errors.ts"

/** @since 0.1.0 */
export type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json | undefined }

/**
 * One server, in any of the shapes that a configuration file takes: `{ command, args, env }` for a process,
 * `{ url, headers }` for one over HTTP, and the limits of both.
 *
 * @since 0.1.0
 */
export type ServerDefinition = { readonly [option: string]: Json | undefined }

/**
 * A configuration as an object: what `mcp.yaml` would hold. `${NAME}` stands for a variable of the environment.
 *
 * @since 0.1.0
 */
export type Configuration = { readonly [option: string]: Json | undefined } & (
  | { readonly servers: Readonly<Record<string, ServerDefinition>> | ReadonlyArray<ServerDefinition> }
  | { readonly mcpServers: Readonly<Record<string, ServerDefinition>> }
)

/** @since 0.1.0 */
export interface OpenOptions {
  /**
   * Whether SIGINT, SIGTERM and SIGHUP close the pools that are open before they end the process. `auto` is `on`, except
   * under a test runner. Default `auto`.
   */
  readonly signals?: "auto" | "on" | "off" | undefined
  /** The model that `ask` and `chat` use unless they name another. */
  readonly model?: ModelOptions | undefined
  /** Told what the pool logs; nothing is printed by itself. Lines of the runtime's life cycle, without secrets. */
  readonly log?: ((line: LogLine) => void) | undefined
  /** Told of a pool that was dropped while it was open; it is being closed then. Default: a warning of the process. */
  readonly onForgotten?: ((namespace: string) => void) | undefined
}

/** @since 0.1.0 */
export interface LogLine {
  readonly level: string
  readonly message: string
  /** What it is about: `server`, `namespace`, `closedCount` and the like. */
  readonly about: Readonly<Record<string, unknown>>
}

/**
 * Any endpoint that speaks OpenAI's Chat Completions. What is left out comes from the environment: `OPENAI_MODEL`,
 * `OPENAI_BASE_URL`, `OPENAI_API_KEY`.
 *
 * @since 0.1.0
 */
export interface ModelOptions {
  readonly model?: string | undefined
  /** Up to and without `/chat/completions`. Default `https://api.openai.com/v1`. */
  readonly baseUrl?: string | undefined
  readonly apiKey?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Further fields of every request: `temperature`, `max_tokens`, whatever the endpoint knows. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined
}

/** @since 0.1.0 */
export interface ChatOptions {
  /** What the model is told before everything else. */
  readonly instructions?: string | undefined
  /** The servers whose tools it has. Default: all of the pool that can be asked; others are skipped, and the model told. */
  readonly servers?: ReadonlyArray<string> | undefined
  readonly model?: ModelOptions | undefined
  /** How often the model may be asked for one answer. Default 16. */
  readonly maxSteps?: number | undefined
  /** Longest time of one answer. Default 10 minutes. */
  readonly timeout?: number | undefined
}

/** @since 0.1.0 */
export interface AskOptions extends ChatOptions, Pick<CallOptions, "signal"> {}

/**
 * A conversation. It is forgotten when it is closed, and with its pool.
 *
 * @since 0.1.0
 */
export interface Chat extends AsyncDisposable {
  /** The answer to a text. An aborted signal cancels the calls that run. One at a time; others wait. */
  readonly ask: (text: string, options?: Pick<CallOptions, "signal">) => Promise<string>
  readonly close: () => Promise<void>
}

/**
 * A tool for any agent SDK: a name that every model takes, a schema that model APIs take, and a call that answers with
 * text for the model. A failure is told in that text (`{ error, message, mayHaveRun, tryAgain }`), so that the model can
 * act on it.
 *
 * @since 0.1.0
 */
export interface AgentTool {
  readonly name: string
  readonly description: string
  readonly inputSchema: Readonly<Record<string, unknown>>
  readonly server: string
  readonly tool: string
  readonly call: (input: unknown, options?: Pick<CallOptions, "signal">) => Promise<string>
}

/** @since 0.1.0 */
export interface AgentTools {
  readonly tools: ReadonlyArray<AgentTool>
  /** Servers, and tools of servers, that are not among them, and why. */
  readonly skipped: ReadonlyArray<{ readonly server: string; readonly tool?: string | undefined; readonly why: string }>
}

/** @since 0.1.0 */
export interface Progress {
  readonly progress: number
  readonly total: number | undefined
  readonly message: string | undefined
}

/** @since 0.1.0 */
export interface CallOptions {
  /** Cancels the request on the server; the promise is then rejected with the reason of the signal. */
  readonly signal?: AbortSignal | undefined
  /** Longest silence, re-armed by progress. Default: the server's, 60 seconds. */
  readonly idleTimeout?: number | undefined
  /** Longest time, whatever the progress. Default: the server's, 300 seconds. */
  readonly timeout?: number | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** @since 0.1.0 */
export interface CallTool extends CallOptions {
  readonly server: string
  readonly tool: string
  readonly arguments?: Readonly<Record<string, unknown>> | undefined
}

/** @since 0.1.0 */
export interface ReadResource extends CallOptions {
  readonly server: string
  readonly uri: string
}

/** @since 0.1.0 */
export interface GetPrompt extends CallOptions {
  readonly server: string
  readonly prompt: string
  readonly arguments?: Readonly<Record<string, string>> | undefined
}

/**
 * A part of a result: text, image, audio, a resource or a link to one, as the protocol has it.
 *
 * @since 0.1.0
 */
export type Content = { readonly type: string; readonly [field: string]: unknown }

/** @since 0.1.0 */
export interface ToolResult {
  readonly server: string
  readonly tool: string
  readonly content: ReadonlyArray<Content>
  /** The answer as data, where it has any: an object, or any JSON value in the 2026 era. */
  readonly structuredContent: unknown
  /** All text parts, one after the other on lines of their own. */
  readonly text: string
  /** The whole result as the server sent it. */
  readonly raw: Readonly<Record<string, unknown>>
}

/** @since 0.1.0 */
export interface Tool {
  readonly server: string
  readonly name: string
  readonly description: string | undefined
  readonly inputSchema: Readonly<Record<string, unknown>>
  readonly outputSchema: Readonly<Record<string, unknown>> | undefined
  readonly annotations: Readonly<Record<string, unknown>> | undefined
}

/**
 * What became of one server's warm-up; `openedIn` is milliseconds.
 *
 * @since 0.1.0
 */
export type Warmed = { readonly ok: true; readonly openedIn: number } | { readonly ok: false; readonly error: McpError }

/**
 * The state of one server. `status` is one of `Idle Connecting Ready Degraded Recovering CircuitOpen Disabled Closing
 * Closed`, `classic` of `disconnected connecting connected error`.
 *
 * @since 0.1.0
 */
export interface Status {
  readonly server: string
  readonly status: string
  readonly classic: string
  readonly suspended: boolean
  readonly detail: string | undefined
}

/**
 * The figures of a pool at one moment; those of a server are in `servers`.
 *
 * @since 0.1.0
 */
export interface Stats {
  readonly namespace: string
  readonly initialised: boolean
  readonly registeredServers: ReadonlyArray<string>
  readonly activeServers: ReadonlyArray<string>
  readonly health: Readonly<Record<string, boolean>>
  readonly running: number
  readonly waiting: number
  readonly servers: ReadonlyArray<Status & { readonly [figure: string]: unknown }>
}

/**
 * Something that happened in a pool; `_tag` says what: `StatusChanged`, `ConnectionOpened`, `ConnectionClosed`,
 * `CatalogChanged`, `RegistrationChanged`, `PoolEnded`.
 *
 * @since 0.1.0
 */
export type Event = { readonly _tag: string; readonly [field: string]: unknown }

/** @since 0.1.0 */
export interface Pool extends AsyncDisposable, Disposable {
  readonly namespace: string
  /** Calls a tool; one that reports failure is rejected with `ToolError`. */
  readonly callTool: (call: CallTool) => Promise<ToolResult>
  /** The model's answer to one text, with the tools of the pool at hand. Every call of it is a conversation of its own. */
  readonly ask: (text: string, options?: AskOptions) => Promise<string>
  /** A conversation that goes on from one `ask` to the next. */
  readonly chat: (options?: ChatOptions) => Promise<Chat>
  /** A snapshot of the tools for an agent SDK; servers that cannot be asked are skipped. */
  readonly agentTools: (options?: Pick<ChatOptions, "servers"> & Pick<CallOptions, "signal">) => Promise<AgentTools>
  readonly readResource: (read: ReadResource) => Promise<Readonly<Record<string, unknown>>>
  readonly getPrompt: (get: GetPrompt) => Promise<Readonly<Record<string, unknown>>>
  /** The tools of one server, or of all that can be asked. Opens them if need be. */
  readonly tools: (server?: string, options?: Pick<CallOptions, "signal">) => Promise<ReadonlyArray<Tool>>
  /** Opens servers before anyone asks. Never rejected for a server that fails: each has its own result. */
  readonly warmup: (
    servers?: ReadonlyArray<string>,
    options?: Pick<CallOptions, "signal">
  ) => Promise<Readonly<Record<string, Warmed>>>
  readonly stats: () => Promise<Stats>
  readonly status: (server: string) => Promise<Status>
  /** What happens from now on; ends with the pool, or with the loop that reads it. */
  readonly events: () => AsyncIterable<Event>
  /** Adds a server, or puts it in the place of another. */
  readonly register: (server: string, definition: ServerDefinition) => Promise<void>
  /** Takes a server out; running calls end on their connection. */
  readonly remove: (server: string) => Promise<boolean>
  /** Closes every connection but keeps the registrations; calls fail until `start`. */
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
  /**
   * Closes everything for good; safe twice and at the same time. What has not ended within the limit is killed. Default: the
   * `closeTimeout` of the configuration, 5 seconds, which holds in any case.
   */
  readonly close: (limit?: number) => Promise<void>
  /** Kills what this pool has started, at once and without waiting. What `using` does at the end of its block. */
  readonly [Symbol.dispose]: () => void
}
