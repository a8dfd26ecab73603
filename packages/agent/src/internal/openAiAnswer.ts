/** What a Chat Completions server answers, whole or in pieces, as parts of `effect/ai`. */
import type * as Response from "effect/ai/Response"
import type * as Protocol from "./openAiProtocol.ts"

const finishReasons: Readonly<Record<string, Response.FinishReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  content_filter: "content-filter"
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // As it is: whoever runs the call tells the model that this is no JSON.
    return text
  }
}

/** A call as far as it has come. */
interface Partial {
  id: string
  name: string
  text: string
  value: unknown
}

const tokens = (usage: Protocol.Usage | null | undefined): Response.FinishPartEncoded["usage"] => {
  const count = (value: number | null | undefined) => value ?? undefined
  const input = count(usage?.prompt_tokens)
  const cached = count(usage?.prompt_tokens_details?.cached_tokens)
  const output = count(usage?.completion_tokens)
  const reasoning = count(usage?.completion_tokens_details?.reasoning_tokens)
  return {
    inputTokens: {
      total: input,
      uncached: input === undefined ? undefined : input - (cached ?? 0),
      cacheRead: cached,
      cacheWrite: undefined
    },
    outputTokens: {
      total: output,
      text: output === undefined ? undefined : output - (reasoning ?? 0),
      reasoning
    }
  }
}

/** Puts an answer together. `newId` names a call that its server has left without a name. */
export const make = (newId: (index: number) => string) => {
  const calls: Array<Partial> = []
  const opened = { text: false, reasoning: false }
  let finish: string | undefined
  let usage: Protocol.Usage | null | undefined
  let started = false

  const slot = (call: Protocol.ToolCall): Partial => {
    const id = call.id ?? ""
    // The place tells the calls apart; servers that give none start a new call with each new id.
    const known =
      typeof call.index === "number" ? calls[call.index] : calls.find((other) => id === "" || other.id === id)
    if (known !== undefined) return known
    const made: Partial = { id, name: "", text: "", value: undefined }
    calls[typeof call.index === "number" ? call.index : calls.length] = made
    return made
  }

  const addCall = (call: Protocol.ToolCall) => {
    const partial = slot(call)
    if (partial.id === "") partial.id = call.id ?? ""
    // Sent whole with the first piece by some, in pieces by none.
    if (partial.name === "") partial.name = call.function?.name ?? ""
    const given = call.function?.arguments
    if (typeof given === "string") partial.text += given
    else if (given !== undefined && given !== null) partial.value = given
  }

  const piece = (kind: "text" | "reasoning", delta: string): ReadonlyArray<Response.StreamPartEncoded> => {
    const parts: Array<Response.StreamPartEncoded> = []
    if (!opened[kind]) parts.push({ type: `${kind}-start`, id: kind })
    opened[kind] = true
    parts.push({ type: `${kind}-delta`, id: kind, delta })
    return parts
  }

  /** The next piece of a stream. */
  const add = (body: Protocol.Body): ReadonlyArray<Response.StreamPartEncoded> => {
    const parts: Array<Response.StreamPartEncoded> = []
    if (!started) {
      started = true
      parts.push({ type: "response-metadata", id: body.id ?? undefined, modelId: body.model ?? undefined })
    }
    usage = body.usage ?? usage
    const choice = body.choices?.[0]
    finish = choice?.finish_reason ?? finish
    const message = choice?.delta ?? choice?.message
    const reasoning = message?.reasoning_content ?? message?.reasoning ?? ""
    if (reasoning !== "") parts.push(...piece("reasoning", reasoning))
    const text = message?.content ?? message?.refusal ?? ""
    if (text !== "") parts.push(...piece("text", text))
    for (const call of message?.tool_calls ?? []) addCall(call)
    return parts
  }

  /** The parts that can only be told at the end. */
  const end = (): ReadonlyArray<Response.StreamPartEncoded> => {
    const parts: Array<Response.StreamPartEncoded> = []
    for (const kind of ["reasoning", "text"] as const) if (opened[kind]) parts.push({ type: `${kind}-end`, id: kind })
    Object.values(calls).forEach((call, index) => {
      const params = call.value ?? (call.text.trim() === "" ? {} : parseJson(call.text))
      parts.push({ type: "tool-call", id: call.id === "" ? newId(index) : call.id, name: call.name, params })
    })
    const reason = finish === undefined ? "unknown" : (finishReasons[finish] ?? "other")
    // Some say that they stop when they want tools, or say it in words of their own.
    const wanted = calls.length > 0 && (reason === "stop" || reason === "other") ? "tool-calls" : reason
    parts.push({ type: "finish", reason: wanted, usage: tokens(usage), response: undefined })
    return parts
  }

  return { add, end, finished: () => finish !== undefined }
}

/** A whole answer: what a stream of one piece would come to, with its text in one part. */
export const whole = (body: Protocol.Body, newId: (index: number) => string): Array<Response.PartEncoded> => {
  const answer = make(newId)
  return [...answer.add(body), ...answer.end()].flatMap((part): ReadonlyArray<Response.PartEncoded> => {
    switch (part.type) {
      case "text-delta":
        return [{ type: "text", text: part.delta }]
      case "reasoning-delta":
        return [{ type: "reasoning", text: part.delta }]
      case "tool-call":
      case "finish":
      case "response-metadata":
        return [part]
      default:
        return []
    }
  })
}
