/** A server's question to the model as a prompt, and the model's answer as the server wants it. */
import type { HostHandlers } from "@scoped-mcp/core"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Effect from "effect/Effect"
import { charactersPerToken } from "../TokenEstimate.ts"

type CreateMessage = HostHandlers.Sampling["Service"]["createMessage"]
type Request = Parameters<CreateMessage>[0]
type Result = Effect.Success<ReturnType<CreateMessage>>
type Block = Extract<Request["messages"][number]["content"], ReadonlyArray<unknown>>[number]

const toPart = (block: Block): Prompt.TextPart | Prompt.FilePart | undefined => {
  switch (block.type) {
    case "text":
      return Prompt.textPart({ text: block.text })
    case "image":
    case "audio":
      return Prompt.filePart({ mediaType: block.mimeType, data: block.data })
    default:
      return undefined
  }
}

/** Nothing when it has tools in it, which a server may only send to hosts that say they take them. */
export const toPrompt = (request: Request): Prompt.Prompt | undefined => {
  const messages: Array<Prompt.Message> = []
  for (const { content, role } of request.messages) {
    const parts = (Array.isArray(content) ? content : [content]).map(toPart)
    const known = parts.filter((part) => part !== undefined)
    if (known.length < parts.length) return undefined
    messages.push(
      role === "user" ? Prompt.userMessage({ content: known }) : Prompt.assistantMessage({ content: known })
    )
  }
  const prompt = Prompt.fromMessages(messages)
  return request.systemPrompt === undefined ? prompt : Prompt.setSystem(prompt, request.systemPrompt)
}

export const toResult = (
  response: LanguageModel.GenerateTextResponse<{}>,
  maxTokens: number,
  model: string
): { readonly result: Result; readonly text: string } => {
  const most = maxTokens * charactersPerToken
  const cut = response.text.length > most
  const text = cut ? response.text.slice(0, most) : response.text
  const stopReason = cut || response.finishReason === "length" ? "maxTokens" : "endTurn"
  return { text, result: { role: "assistant", model, content: { type: "text", text }, stopReason } }
}
