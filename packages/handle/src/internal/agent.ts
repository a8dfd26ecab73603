/** What needs a model, or speaks to one: loaded when it is first asked for. */
import { Agent, type AgentError as RuntimeError, McpToolkit, OpenAiModel } from "@scoped-mcp/agent"
import type { McpPool } from "@scoped-mcp/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { AgentError, ConfigError } from "../errors.ts"
import type { AgentTools, CallOptions, Chat, ChatOptions, ModelOptions } from "../types.ts"

const modelOf = (options: ModelOptions) => {
  const model = options.model ?? process.env["OPENAI_MODEL"]
  if (model === undefined || model === "") {
    const problem = {
      path: "OPENAI_MODEL",
      expected: "expected the name of a model, here or as the option model.model"
    }
    throw new ConfigError(`environment: ${problem.path}: ${problem.expected}`, "environment", [problem])
  }
  const apiKey = options.apiKey ?? process.env["OPENAI_API_KEY"]
  return OpenAiModel.layer({
    model,
    baseUrl: options.baseUrl ?? process.env["OPENAI_BASE_URL"],
    apiKey: apiKey === undefined ? undefined : Redacted.make(apiKey),
    headers: options.headers,
    settings: options.settings
  }).pipe(Layer.provide(FetchHttpClient.layer))
}

const toError = ({ agent, message, reason }: RuntimeError.AgentError): AgentError =>
  new AgentError(message, { agent, reason: reason._tag }, reason)

/** Runs what needs the pool. Whoever keeps it keeps the pool's handle from being forgotten. */
export type Run = <A, E>(effect: Effect.Effect<A, E, McpPool.McpPool>, signal?: AbortSignal) => Promise<A>

/** A conversation that lives as long as the scope, unless it is closed before. */
export const openChat = async (
  run: Run,
  scope: Scope.Scope,
  { instructions, maxSteps, model, servers, timeout }: ChatOptions
): Promise<Chat> => {
  const layer = modelOf(model ?? {})
  const turnTimeout = timeout === undefined ? undefined : Duration.millis(timeout)
  const { agent, own } = await run(
    Effect.gen(function* () {
      const own = yield* Scope.fork(scope)
      const model = yield* Layer.buildWithScope(layer, own)
      const agent = yield* Agent.make({ instructions, maxSteps, servers, turnTimeout }).pipe(
        Effect.provideContext(model),
        Scope.provide(own)
      )
      return { agent, own }
    })
  )
  const close = () => run(Scope.close(own, Exit.void))
  return {
    ask: async (text, options) => run(Effect.mapError(agent.ask(text), toError), options?.signal),
    close,
    [Symbol.asyncDispose]: close
  }
}

export const agentTools = async (
  run: Run,
  servers: ReadonlyArray<string> | undefined,
  signal: AbortSignal | undefined
): Promise<AgentTools> => {
  const toolkit = await run(McpToolkit.make({ servers, mode: "direct" }), signal)
  const call = async (name: string, input: unknown, options: Pick<CallOptions, "signal"> = {}) => {
    const { content, failure } = await run(toolkit.call({ name, arguments: input }), options.signal)
    if (failure !== undefined) return JSON.stringify(failure)
    return content.map((part) => (part.type === "text" ? part.text : JSON.stringify(part))).join("\n")
  }
  return {
    skipped: toolkit.skipped,
    tools: toolkit.tools.map(({ description, inputSchema, name, server, tool }) => ({
      name,
      description,
      inputSchema,
      server,
      tool,
      call: (input, options) => call(name, input, options)
    }))
  }
}
