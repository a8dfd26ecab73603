/** A pool behind promises: what it does, how it is closed, and what happens when it is forgotten. */
import {
  type CallEngine,
  type ConfigFile,
  type McpError as RuntimeError,
  McpPool,
  ProcessOwner,
  type ToolResult as RuntimeResult
} from "@scoped-mcp/core"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import type {
  AgentTools,
  AskOptions,
  CallOptions,
  CallTool,
  Chat,
  ChatOptions,
  Event,
  GetPrompt,
  ModelOptions,
  Pool,
  ReadResource,
  ServerDefinition,
  Stats,
  Status,
  Tool,
  ToolResult,
  Warmed
} from "../types.ts"
import type { Run as AgentRun } from "./agent.ts"
import { parseServer } from "./configuration.ts"
import * as EventReaders from "./EventReaders.ts"
import { plain } from "./plain.ts"
import { run } from "./run.ts"
import * as Signals from "./signals.ts"

type Services = McpPool.McpPool | ProcessOwner.ProcessOwner

export interface Behaviour {
  readonly handlesSignals: boolean
  readonly model: ModelOptions | undefined
  readonly onForgotten: ((namespace: string) => void) | undefined
}

const callOptions = (options: CallOptions): CallEngine.CallOptions => ({
  ...(options.idleTimeout === undefined ? {} : { idleTimeout: Duration.millis(options.idleTimeout) }),
  ...(options.timeout === undefined ? {} : { timeout: Duration.millis(options.timeout) }),
  ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress })
})

const resultOf = (result: RuntimeResult.ToolResult): ToolResult => ({
  server: result.server,
  tool: result.tool,
  content: result.content,
  structuredContent: result.structuredContent,
  text: result.text,
  raw: result.raw
})

/** What a pool owns. It knows nothing of the pool's handle, so that the handle can be collected. */
class Owned implements Signals.Closable {
  readonly context: Context.Context<Services>
  readonly readers = EventReaders.make()
  /** Of the conversations. */
  readonly scope = Scope.makeUnsafe("parallel")
  readonly #dispose: () => Promise<void>
  #closing: Promise<void> | undefined

  constructor(context: Context.Context<Services>, dispose: () => Promise<void>) {
    this.context = context
    this.#dispose = dispose
  }

  get pool(): McpPool.McpPoolService {
    return Context.get(this.context, McpPool.McpPool)
  }

  readonly kill = (): void => Context.get(this.context, ProcessOwner.ProcessOwner).killAll()

  /** Closes once. A limit is this caller's own: when it has passed, what is left is killed, and nobody waits for the rest. */
  readonly close = async (limit?: number): Promise<void> => {
    this.#closing ??= this.#close().finally(() => Signals.remove(this))
    if (limit === undefined) return this.#closing
    const passed = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      this.kill()
      passed.resolve()
    }, limit)
    await Promise.race([this.#closing, passed.promise]).finally(() => clearTimeout(timer))
  }

  async #close(): Promise<void> {
    await run(this.context, Scope.close(this.scope, Exit.void))
    await run(this.context, this.pool.close)
    await this.readers.ended()
    await this.#dispose()
  }
}

interface Forgotten {
  readonly owned: Owned
  readonly namespace: string
  readonly tell: (namespace: string) => void
}

const warn = (namespace: string): void =>
  process.emitWarning(`The pool "${namespace}" was dropped without being closed; it is being closed now.`, {
    code: "SCOPED_MCP_FORGOTTEN",
    detail: "Call close() on it, or declare it with `await using`."
  })

const forgotten = new FinalizationRegistry<Forgotten>(({ namespace, owned, tell }) => {
  void owned.close()
  tell(namespace)
})

export class OpenPool implements Pool {
  readonly namespace: string
  readonly #owned: Owned

  readonly #model: ModelOptions | undefined

  private constructor(owned: Owned, namespace: string, model: ModelOptions | undefined) {
    this.namespace = namespace
    this.#owned = owned
    this.#model = model
  }

  static async open(
    layer: Layer.Layer<Services, ConfigFile.ConfigError | RuntimeError.McpError>,
    { handlesSignals, model, onForgotten }: Behaviour
  ): Promise<Pool> {
    const runtime = ManagedRuntime.make(layer)
    const context = await run(Context.empty(), runtime.contextEffect).catch(async (error: unknown) => {
      await runtime.dispose()
      throw error
    })
    const owned = new Owned(context, () => runtime.dispose())
    const { namespace } = await run(context, owned.pool.stats)
    const pool = new OpenPool(owned, namespace, model)
    forgotten.register(pool, { owned, namespace, tell: onForgotten ?? warn }, owned)
    if (handlesSignals) Signals.add(owned)
    return pool
  }

  #run<A>(
    f: (pool: McpPool.McpPoolService) => Effect.Effect<A, RuntimeError.McpError | ConfigFile.ConfigError>,
    signal?: AbortSignal
  ): Promise<A> {
    return run(this.#owned.context, f(this.#owned.pool), signal)
  }

  readonly #runWithPool: AgentRun = (effect, signal) => run(this.#owned.context, effect, signal)

  readonly callTool = async (call: CallTool): Promise<ToolResult> =>
    resultOf(
      await this.#run(
        (pool) =>
          pool.callTool({
            server: call.server,
            tool: call.tool,
            arguments: call.arguments,
            ...callOptions(call)
          }),
        call.signal
      )
    )

  readonly ask = async (text: string, { signal, ...options }: AskOptions = {}): Promise<string> => {
    await using chat = await this.chat(options)
    return await chat.ask(text, { signal })
  }

  readonly chat = async (options: ChatOptions = {}): Promise<Chat> => {
    const { openChat } = await import("./agent.ts")
    return openChat(this.#runWithPool, this.#owned.scope, { ...options, model: { ...this.#model, ...options.model } })
  }

  readonly agentTools = async ({
    servers,
    signal
  }: Pick<ChatOptions, "servers"> & Pick<CallOptions, "signal"> = {}): Promise<AgentTools> => {
    const { agentTools } = await import("./agent.ts")
    return agentTools(this.#runWithPool, servers, signal)
  }

  readonly readResource = async (read: ReadResource): Promise<Readonly<Record<string, unknown>>> =>
    this.#run((pool) => pool.readResource({ server: read.server, uri: read.uri, ...callOptions(read) }), read.signal)

  readonly getPrompt = async (get: GetPrompt): Promise<Readonly<Record<string, unknown>>> =>
    this.#run(
      (pool) =>
        pool.getPrompt({ server: get.server, prompt: get.prompt, arguments: get.arguments, ...callOptions(get) }),
      get.signal
    )

  readonly tools = async (server?: string, options?: Pick<CallOptions, "signal">): Promise<ReadonlyArray<Tool>> => {
    const catalogs = await this.#run(
      (pool) =>
        server === undefined
          ? Effect.map(pool.catalog, (catalog) => catalog.servers)
          : Effect.map(pool.catalogOf(server), (catalog) => [catalog]),
      options?.signal
    )
    return catalogs.flatMap(({ server: name, tools }) =>
      tools.map((tool) => ({
        server: name,
        name: tool.name,
        description: tool.description,
        inputSchema: tool.inputSchema,
        outputSchema: tool.outputSchema,
        annotations: tool.annotations
      }))
    )
  }

  readonly warmup = async (
    servers?: ReadonlyArray<string>,
    options?: Pick<CallOptions, "signal">
  ): Promise<Readonly<Record<string, Warmed>>> =>
    plain(await this.#run((pool) => pool.warmup(servers), options?.signal)) as Readonly<Record<string, Warmed>>

  readonly stats = async (): Promise<Stats> => plain(await this.#run((pool) => pool.stats)) as Stats

  readonly status = async (server: string): Promise<Status> =>
    plain(await this.#run((pool) => pool.status(server))) as Status

  readonly events = (): AsyncIterable<Event> => ({
    [Symbol.asyncIterator]: () => this.#read(this.#owned.readers.add(this.#owned.pool.events, this.#owned.context))
  })

  // A generator holds its receiver: a pool that is listened to is not forgotten.
  async *#read(reader: EventReaders.Reader): AsyncGenerator<Event, void> {
    try {
      for await (const event of reader.events) yield plain(event) as Event
    } finally {
      reader.leave()
    }
  }

  readonly register = async (server: string, definition: ServerDefinition): Promise<void> =>
    this.#run((pool) => Effect.flatMap(parseServer(server, definition), (source) => pool.replace(server, source)))

  readonly remove = async (server: string): Promise<boolean> => this.#run((pool) => pool.remove(server))

  readonly stop = async (): Promise<void> => this.#run((pool) => pool.stop)

  readonly start = async (): Promise<void> => this.#run((pool) => pool.start)

  readonly close = async (limit?: number): Promise<void> => {
    forgotten.unregister(this.#owned)
    await this.#owned.close(limit)
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  [Symbol.dispose](): void {
    this.#owned.kill()
    void this.close()
  }
}
