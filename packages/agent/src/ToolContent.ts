/**
 * What a tool answered, as parts that a model takes, within limits: text, images, audio, embedded resources and links.
 *
 * @since 0.1.0
 */
import type { ToolResult } from "@scoped-mcp/core"
import * as Prompt from "effect/ai/Prompt"
import * as ByteSize from "effect/ByteSize"
import * as Schema from "effect/Schema"

/**
 * How much of one answer reaches the model. What is left out is said so in its place.
 *
 * @since 0.1.0
 */
export interface Limits {
  /** All text of one answer, as UTF-8. Default 64 KiB. */
  readonly maxText?: ByteSize.Input | undefined
  /** One image, sound or binary resource, decoded. Default 1 MiB. */
  readonly maxMedia?: ByteSize.Input | undefined
  /** Blocks of one answer. Default 32. */
  readonly maxBlocks?: number | undefined
  /** Which media the model takes, by the beginning of their type. Default `image/`, `audio/` and `application/pdf`. */
  readonly media?: ReadonlyArray<string> | undefined
}

/** @since 0.1.0 */
export interface ResolvedLimits {
  readonly maxText: number
  readonly maxMedia: number
  readonly maxBlocks: number
  readonly media: ReadonlyArray<string>
}

const bytesOf = (input: ByteSize.Input | undefined, fallback: number): number =>
  input === undefined ? fallback : ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(input))

/**
 * Fills in the defaults.
 *
 * @since 0.1.0
 */
export const resolve = (limits: Limits): ResolvedLimits => ({
  maxText: bytesOf(limits.maxText, 64 * 1024),
  maxMedia: bytesOf(limits.maxMedia, 1024 * 1024),
  maxBlocks: limits.maxBlocks ?? 32,
  media: limits.media ?? ["image/", "audio/", "application/pdf"]
})

/**
 * The parts that go to a model.
 *
 * @since 0.1.0
 */
export const Content = Schema.Array(Prompt.ToolModelOutputPart)

/** @since 0.1.0 */
export type Content = typeof Content.Type

/**
 * An answer within the limits. `bytes` is what the model gets of it; `cut` tells that it had more.
 *
 * @since 0.1.0
 */
export interface Converted {
  readonly content: Content
  readonly bytes: number
  readonly cut: boolean
}

/** As much of a text as has so many bytes, never half a character. */
const cutText = (text: string, most: number): { readonly text: string; readonly bytes: number } => {
  const space = new Uint8Array(Math.max(0, Math.min(most, text.length * 3)))
  const { read, written } = new TextEncoder().encodeInto(text, space)
  return { text: text.slice(0, read), bytes: written }
}

const decodedSize = (base64: string): number => Math.floor((base64.length * 3) / 4)

const described = (fields: Readonly<Record<string, string | number | undefined>>): string =>
  Object.entries(fields)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
    .join(", ")

type Block = ToolResult.ToolResult["content"][number]
type Piece = { readonly text: string } | { readonly data: string; readonly mediaType: string; readonly name?: string }

const toPiece = (block: Block): Piece => {
  switch (block.type) {
    case "text":
      return { text: block.text }
    case "image":
    case "audio":
      return { data: block.data, mediaType: block.mimeType }
    case "resource_link": {
      const { description, mimeType, name, size, uri } = block
      return {
        text: `[Link to a resource, not its content. ${described({ name, uri, mimeType, size, description })}]`
      }
    }
    case "resource": {
      const { resource } = block
      return "text" in resource
        ? { text: `[Resource ${resource.uri}]\n${resource.text}` }
        : { data: resource.blob, mediaType: resource.mimeType ?? "application/octet-stream", name: resource.uri }
    }
  }
}

/**
 * Converts what a tool answered. Structured content stands in for text where there is none.
 *
 * @since 0.1.0
 */
export const convert = (
  result: Pick<ToolResult.ToolResult, "content" | "structuredContent">,
  limits: ResolvedLimits
): Converted => {
  const parts: Array<Prompt.ToolModelOutputPart> = []
  let bytes = 0
  let left = limits.maxText
  let cut = false
  const say = (text: string) => parts.push(Prompt.textPart({ text }))
  const leave = (what: string) => {
    cut = true
    say(`[${what}]`)
  }

  const blocks = result.content.map(toPiece)
  const pieces =
    result.structuredContent !== undefined && !blocks.some((piece) => "text" in piece)
      ? [...blocks, { text: JSON.stringify(result.structuredContent) }]
      : blocks
  for (const piece of pieces.slice(0, limits.maxBlocks)) {
    if ("text" in piece) {
      const kept = cutText(piece.text, left)
      left -= kept.bytes
      bytes += kept.bytes
      if (kept.text !== "" || piece.text === "") say(kept.text)
      if (kept.text.length < piece.text.length) {
        leave(`${piece.text.length - kept.text.length} more characters were left out; ask for less or for a part`)
      }
      continue
    }
    const size = decodedSize(piece.data)
    const what = `${piece.mediaType}${piece.name === undefined ? "" : ` ${piece.name}`}, ${size} bytes`
    if (!limits.media.some((prefix) => piece.mediaType.startsWith(prefix)))
      leave(`${what}: not a kind this model takes`)
    else if (size > limits.maxMedia) leave(`${what}: larger than the limit of ${limits.maxMedia}`)
    else {
      bytes += size
      parts.push(Prompt.filePart({ mediaType: piece.mediaType, data: piece.data, fileName: piece.name }))
    }
  }
  if (pieces.length > limits.maxBlocks) leave(`${pieces.length - limits.maxBlocks} more blocks were left out`)
  return { content: parts, bytes, cut }
}

/**
 * A text alone, cut at the limit like any other.
 *
 * @since 0.1.0
 */
export const fromText = (text: string, limits: ResolvedLimits): Converted =>
  convert({ content: [{ type: "text", text }], structuredContent: undefined }, limits)
