/**
 * An agent: a model that uses the tools of the pool until it can answer, and remembers the conversation while its scope is
 * open. Both the pool and the model come from the context.
 *
 * @example
 * ```ts
 * import { Agent, OpenAiModel } from "@scoped-mcp/agent"
 * import { ServerConfig } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * const files = ServerConfig.stdio({ command: "npx", args: ["mcp-server-filesystem", "."] })
 *
 * // Model and servers, one line:
 * export const program = Agent.ask("What is in this directory?").pipe(
 *   Effect.provide(Agent.layerServers({ model: OpenAiModel.layerConfig, servers: { files } }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Limits, McpPool, type McpConnection, type McpError } from "@scoped-mcp/core"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { AgentClosed, AgentError, type Reason, TurnTimeout } from "./AgentError.ts"
import type { AgentEvent, ToolsChange, Turn, Usage } from "./AgentEvent.ts"
import type { Emit } from "./internal/modelRequest.ts"
import * as ToolGate from "./internal/ToolGate.ts"
import * as RunTurn from "./internal/turn.ts"
import * as TurnToolkit from "./internal/TurnToolkit.ts"
import type { Definition, Options as ToolkitOptions } from "./McpToolkit.ts"
import type { AuditRecord } from "./ToolPolicy.ts"

/** @since 0.1.0 */
export interface Options extends ToolkitOptions {
  /** In records, errors and keys; an id is added to it. Default `agent`. */
  readonly name?: string | undefined
  /** What the model is told before everything else. */
  readonly instructions?: string | undefined
  /** What the conversation begins with: an earlier one, or prompts and resources of `ServerContext`. */
  readonly history?: Prompt.RawInput | undefined
  /** How often the model may be asked in one turn. Default 16. */
  readonly maxSteps?: number | undefined
  /** Longest time of a turn, waiting for a person included. Default 10 minutes. */
  readonly turnTimeout?: Limits.Span | undefined
  /** Calls of one answer that run at the same time; the pool's own limits hold as well. Default 8. */
  readonly concurrency?: number | undefined
  /** How often a model that fails for a while is asked again: rate limits, overload, lost connections. Default 3. */
  readonly modelRetries?: number | undefined
}

/** @since 0.1.0 */
export interface AgentService {
  /** Its name and an id that no other agent has. */
  readonly id: string
  /** One turn: the answer to a text, or to messages. Interruption cancels the calls that run. Turns come one at a time. */
  readonly ask: (input: Prompt.RawInput) => Effect.Effect<string, AgentError>
  /** As `ask`, with what was done for the answer. */
  readonly turn: (input: Prompt.RawInput) => Effect.Effect<Turn, AgentError>
  /** As `turn`, while it happens. It runs as fast as it is read; a reader who leaves interrupts it. */
  readonly stream: (input: Prompt.RawInput) => Stream.Stream<AgentEvent, AgentError>
  /** The conversation so far. Empty when the scope has closed. */
  readonly history: Effect.Effect<Prompt.Prompt>
  /** Tokens of all turns that have ended. */
  readonly usage: Effect.Effect<Usage>
  /** Every call from now on, made or refused. A slow reader loses the oldest of 1,024; `ToolPolicy.audit` loses none. */
  readonly audit: Stream.Stream<AuditRecord>
}

/** @since 0.1.0 */
export class Agent extends Context.Service<Agent, AgentService>()("@scoped-mcp/agent/Agent") {}

const defaultTurnTimeout = Duration.minutes(10)

/** Events that a reader may be behind; then the turn waits. */
const eventBuffer = 64

const compare = (before: ReadonlyArray<Definition>, after: ReadonlyArray<Definition>): ToolsChange => {
  const old = new Map(before.map((definition) => [definition.name, JSON.stringify(definition)]))
  const now = new Map(after.map((definition) => [definition.name, JSON.stringify(definition)]))
  return {
    added: [...now.keys()].filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !now.has(name)),
    changed: [...now].filter(([name, text]) => old.has(name) && old.get(name) !== text).map(([name]) => name)
  }
}

/**
 * An agent in the current scope. When that closes, its turn is interrupted and its conversation released.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<AgentService, never, McpPool.McpPool | LanguageModel.LanguageModel | Scope.Scope> {
  const id = `${options.name ?? "agent"}-${yield* TurnToolkit.makeId}`
  const context = yield* Effect.context<McpPool.McpPool | LanguageModel.LanguageModel>()
  const turnTimeout = Limits.span("turnTimeout", options.turnTimeout, defaultTurnTimeout)
  const maxSteps = Limits.count("maxSteps", options.maxSteps, 16, 1)
  const concurrency = Limits.count("concurrency", options.concurrency, 8, 1)
  const modelRetries = Limits.count("modelRetries", options.modelRetries, 3, 0)
  const oneAtATime = yield* Semaphore.make(1)
  const records = yield* Effect.acquireRelease(PubSub.sliding<AuditRecord>(1024), PubSub.shutdown)
  const closed = yield* Deferred.make<never, Reason>()
  const ledger = ToolGate.emptyLedger()
  let open = true
  let history = Prompt.make(options.history ?? [])
  let usage: Usage = { inputTokens: 0, outputTokens: 0 }
  let turns = 0
  let definitions: ReadonlyArray<Definition> | undefined

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      open = false
      history = Prompt.empty
      definitions = undefined
      return Deferred.fail(closed, new AgentClosed())
    })
  )

  const begin = (turn: number, calls: Array<AuditRecord>) =>
    TurnToolkit.make(options, {
      agent: id,
      turn,
      ledger,
      onRecord: (record) => {
        calls.push(record)
        return PubSub.publish(records, record)
      }
    })

  const run = (
    input: Prompt.RawInput,
    streaming: boolean,
    emit: Emit,
    emitUnsafe: (event: AgentEvent) => void
  ): Effect.Effect<Turn, AgentError> =>
    Effect.gen(function* () {
      if (!open) return yield* new AgentClosed()
      const turn = ++turns
      const calls: Array<AuditRecord> = []
      const tools = yield* begin(turn, calls)
      const { mode, skipped } = tools
      yield* emit({ _tag: "TurnStarted", turn, tools: tools.tools.length, mode, skipped })
      for (const { server, tool, why } of skipped) {
        yield* Effect.logWarning(`Without ${tool === undefined ? "server" : `tool "${tool}" of`} "${server}": ${why}`)
      }
      const change = definitions === undefined ? undefined : compare(definitions, tools.tools.map(toDefinition))
      if (change !== undefined && change.added.length + change.removed.length + change.changed.length > 0) {
        yield* emit({ _tag: "ToolsChanged", ...change })
      }
      definitions = tools.tools.map(toDefinition)
      const answered = yield* RunTurn.run({
        instructions: options.instructions,
        tools,
        policy: options.policy ?? {},
        maxSteps,
        concurrency,
        modelRetries,
        streaming,
        emit,
        emitUnsafe,
        history: () => history,
        remember: (messages) => {
          if (open) history = Prompt.concat(history, messages)
        },
        input: Prompt.make(input)
      })
      usage = {
        inputTokens: usage.inputTokens + answered.usage.inputTokens,
        outputTokens: usage.outputTokens + answered.usage.outputTokens
      }
      const ended: Turn = { turn, calls, skipped, ...answered }
      yield* emit({ _tag: "TurnEnded", turn: ended })
      return ended
    }).pipe(
      Effect.timeoutOrElse({
        duration: turnTimeout,
        orElse: () => Effect.fail<Reason>(new TurnTimeout({ limit: turnTimeout }))
      }),
      oneAtATime.withPermits(1),
      Effect.raceFirst(Deferred.await(closed)),
      Effect.mapError((reason) => new AgentError({ agent: id, reason })),
      Effect.annotateLogs({ agent: id }),
      Effect.provideContext(context)
    )

  const quiet = () => Effect.void
  const turn: AgentService["turn"] = (input) => run(input, false, quiet, () => {})
  return {
    id,
    turn,
    ask: (input) => Effect.map(turn(input), ({ text }) => text),
    stream: (input) =>
      Stream.callback<AgentEvent, AgentError>(
        (queue) =>
          Effect.andThen(
            run(
              input,
              true,
              (event) => Effect.asVoid(Queue.offer(queue, event)),
              (event) => {
                Queue.offerUnsafe(queue, event)
              }
            ),
            Queue.end(queue)
          ),
        { bufferSize: eventBuffer }
      ),
    history: Effect.sync(() => history),
    usage: Effect.sync(() => usage),
    audit: Stream.fromPubSub(records)
  }
})

const toDefinition = ({ description, inputSchema, name }: Definition): Definition => ({
  name,
  description,
  inputSchema
})

/**
 * An agent as a layer, over the pool and the model of the context.
 *
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Agent, never, McpPool.McpPool | LanguageModel.LanguageModel> => Layer.effect(Agent, make(options))

/**
 * An agent with a model and servers of its own, in a pool of its own: everything but the platform.
 *
 * @since 0.1.0
 */
export const layerServers = <E, R>(
  options: Omit<Options, "servers"> & {
    readonly model: Layer.Layer<LanguageModel.LanguageModel, E, R>
    /** The servers of the pool, by name; the agent uses all of them. */
    readonly servers: McpPool.Options["servers"]
  }
): Layer.Layer<Agent, E | McpError.McpError, R | McpConnection.Platform> => {
  const { model, servers, ...rest } = options
  return Layer.provide(layer(rest), [McpPool.layer({ servers }), model])
}

/**
 * Asks the agent of the context; see {@link AgentService.ask}.
 *
 * @since 0.1.0
 */
export const ask = (input: Prompt.RawInput): Effect.Effect<string, AgentError, Agent> =>
  Effect.flatMap(Agent, (agent) => agent.ask(input))

/**
 * Asks the agent of the context, and tells what happens; see {@link AgentService.stream}.
 *
 * @since 0.1.0
 */
export const stream = (input: Prompt.RawInput): Stream.Stream<AgentEvent, AgentError, Agent> =>
  Stream.unwrap(Effect.map(Agent, (agent) => agent.stream(input)))
