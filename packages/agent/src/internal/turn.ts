/** One turn of an agent: asks the model, makes the calls it wants, and so on until it answers. */
import type { McpPool } from "@scoped-mcp/core"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type ModelFailed, ModelStopped, StepLimit } from "../AgentError.ts"
import type { AgentEvent, Usage } from "../AgentEvent.ts"
import type { McpToolkit, Outcome } from "../McpToolkit.ts"
import * as ToolContent from "../ToolContent.ts"
import type { ToolFailure } from "../ToolFailure.ts"
import * as ToolPolicy from "../ToolPolicy.ts"
import * as ModelRequest from "./modelRequest.ts"

export interface Options {
  readonly instructions: string | undefined
  readonly tools: McpToolkit
  readonly policy: ToolPolicy.ToolPolicy
  readonly maxSteps: number
  readonly concurrency: number
  readonly modelRetries: number
  readonly streaming: boolean
  readonly emit: ModelRequest.Emit
  /** As `emit`, from a callback; an event that finds no room is lost. */
  readonly emitUnsafe: (event: AgentEvent) => void
  /** The conversation so far, without what this turn begins with. */
  readonly history: () => Prompt.Prompt
  readonly remember: (messages: Prompt.Prompt) => void
  readonly input: Prompt.Prompt
}

export interface Answered {
  readonly text: string
  readonly steps: number
  readonly usage: Usage
}

/** After any other reason the answer may be cut, and half an answer must move nothing. */
const whole: ReadonlyArray<Response.FinishReason> = ["stop", "tool-calls", "pause"]

const cut: ReadonlyArray<Response.FinishReason> = ["length", "content-filter", "error"]

const encodeContent = Schema.encodeSync(ToolContent.Content)

const toResult = (call: ModelRequest.ModelCall, outcome: Outcome): Prompt.ToolResultPart =>
  outcome.failure === undefined
    ? Prompt.toolResultPart({
        id: call.id,
        name: call.name,
        isFailure: false,
        result: encodeContent(outcome.content),
        modelOutput: outcome.content,
        providerExecuted: false
      })
    : failed(call, outcome.failure)

const failed = (call: ModelRequest.ModelCall, failure: ToolFailure): Prompt.ToolResultPart =>
  Prompt.toolResultPart({ id: call.id, name: call.name, isFailure: true, result: failure, providerExecuted: false })

/** What the model finds in the place of an answer when it is asked again after a turn that was cut. */
const interrupted: ToolFailure = {
  error: "Interrupted",
  message: "The call was cancelled while it ran. It may have run.",
  mayHaveRun: true,
  tryAgain: "afterChecking"
}

/** Names of servers and reasons; the system's part of the prompt says what the model has to do without. */
const instructionsOf = (options: Options): string | undefined => {
  const missing = options.tools.skipped.filter(({ tool }) => tool === undefined).map(({ server }) => server)
  const note = missing.length === 0 ? [] : [`These servers are not available now: ${missing.join(", ")}.`]
  const lines = [...(options.instructions === undefined ? [] : [options.instructions]), ...note]
  return lines.length === 0 ? undefined : lines.join("\n\n")
}

const shown = (policy: ToolPolicy.ToolPolicy, args: unknown) =>
  typeof args === "object" && args !== null && !Array.isArray(args)
    ? ToolPolicy.redact(policy, args as Readonly<Record<string, unknown>>)
    : {}

const runCall = (options: Options, call: ModelRequest.ModelCall) =>
  Effect.gen(function* () {
    const { emit, emitUnsafe, policy, tools } = options
    const request = { name: call.name, arguments: call.arguments, id: call.id }
    const subject = tools.resolve(request)
    yield* emit({
      _tag: "ToolCallStarted",
      callId: call.id,
      name: call.name,
      server: subject?.server,
      tool: subject?.tool,
      arguments: shown(policy, call.arguments)
    })
    const outcome = yield* tools.call({
      ...request,
      onProgress: (progress) => emitUnsafe({ _tag: "ToolCallProgress", callId: call.id, progress })
    })
    return outcome
  })

/** Makes the calls of one answer. However it ends, the conversation gets an answer to each of them, and keeps what was done. */
const runCalls = (options: Options, answer: ModelRequest.Answer, before: Prompt.Prompt) =>
  Effect.suspend(() => {
    const results = answer.calls.map((call) => failed(call, interrupted))
    const remember = Effect.sync(() =>
      options.remember(
        Prompt.concat(
          Prompt.concat(before, Prompt.fromResponseParts(answer.parts)),
          Prompt.fromMessages([Prompt.toolMessage({ content: results })])
        )
      )
    )
    const calls = Effect.forEach(
      answer.calls,
      (call, index) =>
        Effect.gen(function* () {
          const outcome = yield* runCall(options, call)
          // Before anybody is told of it, so that no interruption comes between.
          results[index] = toResult(call, outcome)
          yield* options.emit({
            _tag: "ToolCallEnded",
            callId: call.id,
            name: call.name,
            outcome: outcome.outcome,
            bytes: outcome.bytes
          })
        }),
      { concurrency: options.concurrency, discard: true }
    )
    return Effect.ensuring(calls, remember)
  })

export const run = (
  options: Options
): Effect.Effect<Answered, ModelFailed | ModelStopped | StepLimit, McpPool.McpPool | LanguageModel.LanguageModel> =>
  Effect.gen(function* () {
    const instructions = instructionsOf(options)
    let inputTokens = 0
    let outputTokens = 0
    // What the user said becomes part of the conversation with the first thing that came of it.
    let before = options.input
    for (let step = 1; step <= options.maxSteps; step++) {
      const conversation = Prompt.concat(options.history(), before)
      const answer = yield* ModelRequest.request({
        prompt: instructions === undefined ? conversation : Prompt.prependSystem(conversation, instructions),
        tools: options.tools,
        streaming: options.streaming,
        retries: options.modelRetries,
        emit: options.emit
      })
      inputTokens += answer.usage.inputTokens
      outputTokens += answer.usage.outputTokens
      const usage = { inputTokens, outputTokens }
      yield* options.emit({ _tag: "StepEnded", step, usage: answer.usage })

      if (answer.calls.length === 0 && !cut.includes(answer.finish) && answer.finish !== "pause") {
        options.remember(Prompt.concat(before, Prompt.fromResponseParts(answer.parts)))
        return { text: answer.text, steps: step, usage }
      }
      if (!whole.includes(answer.finish)) {
        return yield* new ModelStopped({ why: answer.finish, text: answer.text })
      }
      if (answer.calls.length === 0) {
        options.remember(Prompt.concat(before, Prompt.fromResponseParts(answer.parts)))
      } else yield* runCalls(options, answer, before)
      before = Prompt.empty
    }
    return yield* new StepLimit({ maxSteps: options.maxSteps })
  })
