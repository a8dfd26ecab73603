/** A prompt and its tools in the words of the Chat Completions protocol. */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as OpenAiStructuredOutput from "effect/ai/OpenAiStructuredOutput"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Base64 from "effect/encoding/Base64"

type Json = Readonly<Record<string, unknown>>

const base64Of = (data: Exclude<Prompt.FilePart["data"], URL>): string =>
  typeof data === "string" ? data : Base64.encode(data)

const soundFormats: Readonly<Record<string, string>> = {
  "audio/mpeg": "mp3",
  "audio/mp3": "mp3",
  "audio/wav": "wav",
  "audio/x-wav": "wav",
  "audio/wave": "wav"
}

const filePart = (part: Prompt.FilePart): Json => {
  const { data, fileName, mediaType } = part
  if (data instanceof URL) {
    return mediaType.startsWith("image/")
      ? { type: "image_url", image_url: { url: data.href } }
      : { type: "text", text: `[${mediaType} at ${data.href}]` }
  }
  const encoded = base64Of(data)
  if (mediaType.startsWith("image/")) {
    return { type: "image_url", image_url: { url: `data:${mediaType};base64,${encoded}` } }
  }
  const format = soundFormats[mediaType]
  if (format !== undefined) return { type: "input_audio", input_audio: { data: encoded, format } }
  return {
    type: "file",
    file: { filename: fileName ?? "file", file_data: `data:${mediaType};base64,${encoded}` }
  }
}

const contentOf = (parts: ReadonlyArray<Prompt.TextPart | Prompt.FilePart>): string | ReadonlyArray<Json> =>
  parts.every((part) => part.type === "text")
    ? parts.map((part) => (part.type === "text" ? part.text : "")).join("\n")
    : parts.map((part) => (part.type === "text" ? { type: "text", text: part.text } : filePart(part)))

const toJson = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? "null"))

const assistant = (message: Prompt.AssistantMessage): Json => {
  const text = message.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("")
  const calls = message.content.flatMap((part) =>
    part.type === "tool-call"
      ? [{ id: part.id, type: "function", function: { name: part.name, arguments: toJson(part.params) } }]
      : []
  )
  return {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    ...(calls.length === 0 ? {} : { tool_calls: calls })
  }
}

/** An answer of a tool can only be text here; its media follow in a message of the user, which every server takes. */
const tool = (message: Prompt.ToolMessage): ReadonlyArray<Json> => {
  const answers: Array<Json> = []
  const media: Array<Json> = []
  for (const part of message.content) {
    if (part.type !== "tool-result") continue
    const text = part.modelOutput === undefined ? toJson(part.result) : Prompt.toolModelOutputToText(part.modelOutput)
    answers.push({ role: "tool", tool_call_id: part.id, content: text })
    const files = (part.modelOutput ?? []).filter((output) => output.type === "file")
    if (files.length > 0) {
      media.push({ type: "text", text: `What the tool ${part.name} (call ${part.id}) has sent besides its text:` })
      media.push(...files.map(filePart))
    }
  }
  return media.length === 0 ? answers : [...answers, { role: "user", content: media }]
}

const messagesOf = (prompt: Prompt.Prompt): ReadonlyArray<Json> =>
  prompt.content.flatMap((message): ReadonlyArray<Json> => {
    switch (message.role) {
      case "system":
        return [{ role: "system", content: message.content }]
      case "user":
        return [{ role: "user", content: contentOf(message.content) }]
      case "assistant":
        return [assistant(message)]
      case "tool":
        return tool(message)
    }
  })

const toolChoiceOf = (choice: LanguageModel.ProviderOptions["toolChoice"]): unknown => {
  if (typeof choice === "string") return choice
  if ("tool" in choice) return { type: "function", function: { name: choice.tool } }
  return choice.mode === "required" ? "required" : "auto"
}

const responseFormatOf = ({ responseFormat }: LanguageModel.ProviderOptions): Json => {
  if (responseFormat.type === "text") return {}
  const { jsonSchema } = OpenAiStructuredOutput.toCodecOpenAI(responseFormat.schema)
  return {
    response_format: {
      type: "json_schema",
      json_schema: { name: responseFormat.objectName, schema: jsonSchema, strict: true }
    }
  }
}

/** The body of a request, without the model and the settings of the user. */
export const make = (options: LanguageModel.ProviderOptions): Json => {
  const tools = options.tools.map((definition) => ({
    type: "function",
    function: {
      name: definition.name,
      description: Tool.getDescription(definition) ?? "",
      parameters: Tool.getJsonSchema(definition)
    }
  }))
  return {
    messages: messagesOf(options.prompt),
    ...(tools.length === 0 ? {} : { tools, tool_choice: toolChoiceOf(options.toolChoice) }),
    ...responseFormatOf(options)
  }
}
