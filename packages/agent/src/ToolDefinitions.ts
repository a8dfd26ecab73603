/**
 * The tools of a toolkit as plain data for the model APIs that people call themselves, and one dispatcher that makes the
 * calls they answer with and writes the reply in the same API's form.
 *
 * @example
 * ```ts
 * import { McpToolkit, ToolDefinitions } from "@scoped-mcp/agent"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function* () {
 *   const toolkit = yield* McpToolkit.make({ servers: ["sql"] })
 *   const tools = ToolDefinitions.anthropic(toolkit) // goes into the request as it is
 *   const reply = yield* ToolDefinitions.dispatch(toolkit, {
 *     type: "tool_use",
 *     id: "toolu_1",
 *     name: "sql__list_tables",
 *     input: {}
 *   })
 *   return { tools, reply } // reply: { type: "tool_result", tool_use_id: "toolu_1", content: […] }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type { McpPool } from "@scoped-mcp/core"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import type { Definition, McpToolkit, Outcome } from "./McpToolkit.ts"

type Json = Readonly<Record<string, unknown>>
type Source = Pick<McpToolkit, "definitions">

/**
 * For `tools` of OpenAI's Responses API.
 *
 * @since 0.1.0
 */
export const openAiResponses = ({ definitions }: Source) =>
  definitions.map(({ description, inputSchema, name }) => ({
    type: "function" as const,
    name,
    description,
    parameters: inputSchema,
    strict: false
  }))

/**
 * For `tools` of OpenAI's Chat Completions, and of the many that speak it.
 *
 * @since 0.1.0
 */
export const openAiChat = ({ definitions }: Source) =>
  definitions.map(({ description, inputSchema, name }) => ({
    type: "function" as const,
    function: { name, description, parameters: inputSchema }
  }))

/**
 * For `tools` of Anthropic's Messages API.
 *
 * @since 0.1.0
 */
export const anthropic = ({ definitions }: Source) =>
  definitions.map(({ description, inputSchema, name }) => ({
    name,
    description,
    input_schema: { ...inputSchema, type: "object" as const }
  }))

/**
 * For `tools` of Gemini.
 *
 * @since 0.1.0
 */
export const gemini = ({ definitions }: Source) => [
  {
    functionDeclarations: definitions.map(({ description, inputSchema, name }) => ({
      name,
      description,
      parametersJsonSchema: inputSchema
    }))
  }
]

/**
 * For `tools` of the Vercel AI SDK; `jsonSchema` is the function of that name of its package `ai`. The tools have no
 * `execute`: give their calls to {@link dispatch}.
 *
 * @since 0.1.0
 */
export const vercel = <S>(
  { definitions }: Source,
  jsonSchema: (schema: Definition["inputSchema"]) => S
): Record<string, { readonly description: string; readonly inputSchema: S }> =>
  Object.fromEntries(
    definitions.map(({ description, inputSchema, name }) => [
      name,
      { description, inputSchema: jsonSchema(inputSchema) }
    ])
  )

/** @since 0.1.0 */
export interface OpenAiResponsesCall {
  readonly type: "function_call"
  readonly call_id: string
  readonly name: string
  readonly arguments: string
}

/** @since 0.1.0 */
export interface OpenAiChatCall {
  readonly id: string
  readonly type: "function"
  readonly function: { readonly name: string; readonly arguments: string }
}

/** @since 0.1.0 */
export interface AnthropicCall {
  readonly type: "tool_use"
  readonly id: string
  readonly name: string
  readonly input: unknown
}

/** @since 0.1.0 */
export interface GeminiCall {
  readonly functionCall: {
    readonly id?: string | undefined
    readonly name?: string | undefined
    readonly args?: unknown
  }
}

/** @since 0.1.0 */
export interface VercelCall {
  readonly toolCallId: string
  readonly toolName: string
  readonly input: unknown
}

/** @since 0.1.0 */
export type ApiCall = OpenAiResponsesCall | OpenAiChatCall | AnthropicCall | GeminiCall | VercelCall

type AnthropicBlock =
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "image" | "document"
      readonly source: { readonly type: "base64"; readonly media_type: string; readonly data: string }
    }

/**
 * The reply to a call, in the form of its API.
 *
 * @since 0.1.0
 */
export type ReplyTo<C extends ApiCall> = C extends OpenAiResponsesCall
  ? { readonly type: "function_call_output"; readonly call_id: string; readonly output: string }
  : C extends OpenAiChatCall
    ? { readonly role: "tool"; readonly tool_call_id: string; readonly content: string }
    : C extends AnthropicCall
      ? {
          readonly type: "tool_result"
          readonly tool_use_id: string
          readonly content: ReadonlyArray<AnthropicBlock>
          readonly is_error?: boolean
        }
      : C extends GeminiCall
        ? { readonly functionResponse: { readonly id?: string; readonly name: string; readonly response: Json } }
        : {
            readonly type: "tool-result"
            readonly toolCallId: string
            readonly toolName: string
            readonly output:
              | { readonly type: "text"; readonly value: string }
              | { readonly type: "error-text"; readonly value: string }
              | {
                  readonly type: "content"
                  readonly value: ReadonlyArray<
                    | { readonly type: "text"; readonly text: string }
                    | { readonly type: "media"; readonly data: string; readonly mediaType: string }
                  >
                }
          }

interface Read {
  readonly id: string
  readonly name: string
  readonly arguments: unknown
  readonly reply: (outcome: Outcome) => unknown
}

const parse = (text: string): unknown => {
  if (text.trim() === "") return {}
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The gate tells the model that this is no object.
    return text
  }
}

/** All of it as one text, for APIs whose replies are text: media are named, not shown. */
const textOf = ({ content, failure }: Outcome): string =>
  failure === undefined ? Prompt.toolModelOutputToText(content) : JSON.stringify(failure)

const dataOf = (part: Prompt.FilePart): string => String(part.data)

const anthropicBlocks = ({ content, failure }: Outcome): ReadonlyArray<AnthropicBlock> => {
  if (failure !== undefined) return [{ type: "text", text: JSON.stringify(failure) }]
  return content.map((part): AnthropicBlock => {
    if (part.type === "text") return { type: "text", text: part.text }
    const source = { type: "base64" as const, media_type: part.mediaType, data: dataOf(part) }
    if (part.mediaType.startsWith("image/")) return { type: "image", source }
    return part.mediaType === "application/pdf"
      ? { type: "document", source }
      : { type: "text", text: Prompt.toolModelOutputToText([part]) }
  })
}

const vercelOutput = (outcome: Outcome) => {
  if (outcome.failure !== undefined) return { type: "error-text", value: textOf(outcome) }
  if (outcome.content.every(({ type }) => type === "text")) return { type: "text", value: textOf(outcome) }
  const value = outcome.content.map((part) =>
    part.type === "text"
      ? { type: "text", text: part.text }
      : { type: "media", data: dataOf(part), mediaType: part.mediaType }
  )
  return { type: "content", value }
}

const read = (call: ApiCall): Read => {
  if ("functionCall" in call) {
    const { args, id, name = "" } = call.functionCall
    const reply = (outcome: Outcome) => ({
      functionResponse: {
        ...(id === undefined ? {} : { id }),
        name,
        response: outcome.failure === undefined ? { output: textOf(outcome) } : { error: outcome.failure }
      }
    })
    return { id: id ?? name, name, arguments: args ?? {}, reply }
  }
  if ("toolCallId" in call) {
    const { input, toolCallId, toolName } = call
    const reply = (outcome: Outcome) => ({ type: "tool-result", toolCallId, toolName, output: vercelOutput(outcome) })
    return { id: toolCallId, name: toolName, arguments: input, reply }
  }
  switch (call.type) {
    case "function_call": {
      const { call_id, name } = call
      const reply = (outcome: Outcome) => ({ type: "function_call_output", call_id, output: textOf(outcome) })
      return { id: call_id, name, arguments: parse(call.arguments), reply }
    }
    case "function": {
      const { id } = call
      const reply = (outcome: Outcome) => ({ role: "tool", tool_call_id: id, content: textOf(outcome) })
      return { id, name: call.function.name, arguments: parse(call.function.arguments), reply }
    }
    case "tool_use": {
      const { id, input, name } = call
      const reply = (outcome: Outcome) => ({
        type: "tool_result",
        tool_use_id: id,
        content: anthropicBlocks(outcome),
        ...(outcome.failure === undefined ? {} : { is_error: true })
      })
      return { id, name, arguments: input, reply }
    }
  }
}

/**
 * Makes the call that a model API has answered with, and gives the reply to send back. Which API it is its form tells. Never
 * fails: failures are replies that the model can act on. Interruption cancels the call on its server.
 *
 * @since 0.1.0
 */
export const dispatch = <C extends ApiCall>(
  toolkit: McpToolkit,
  call: C
): Effect.Effect<ReplyTo<C>, never, McpPool.McpPool> => {
  const { arguments: args, id, name, reply } = read(call)
  return Effect.map(toolkit.call({ id, name, arguments: args }), (outcome) => reply(outcome) as ReplyTo<C>)
}
