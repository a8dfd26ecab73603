/**
 * What a tool answered: its content blocks, its structured content, and the text of both for people and models.
 *
 * @since 0.1.0
 */
import type { ContentBlock } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isRecord } from "./internal/frames.ts"
import { InvalidResult, McpError } from "./McpError.ts"

/** @since 0.1.0 */
export class ToolResult {
  readonly server: string
  readonly tool: string
  readonly content: ReadonlyArray<ContentBlock>
  /** The tool's answer as data, where it has any: an object, or any JSON value in the 2026 era. */
  readonly structuredContent: unknown
  /** The whole result as the server sent it. */
  readonly raw: Readonly<Record<string, unknown>>

  constructor(
    server: string,
    tool: string,
    content: ReadonlyArray<ContentBlock>,
    raw: Readonly<Record<string, unknown>>
  ) {
    this.server = server
    this.tool = tool
    this.content = content
    this.structuredContent = raw["structuredContent"]
    this.raw = raw
  }

  /** All text blocks, one after the other on lines of their own. */
  get text(): string {
    return this.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n")
  }

  /** The structured content, or else the text read as JSON, decoded with a schema; fails with `InvalidResult`. */
  decode<A, R>(schema: Schema.Codec<A, unknown, R, unknown>): Effect.Effect<A, McpError, R> {
    const decoded =
      this.structuredContent === undefined
        ? Schema.decodeEffect(Schema.fromJsonString(Schema.Unknown))(this.text)
        : Effect.succeed(this.structuredContent)
    return Effect.flatMap(decoded, Schema.decodeUnknownEffect(schema)).pipe(
      Effect.mapError(
        (error) =>
          new McpError({
            reason: new InvalidResult({ server: this.server, request: `tool "${this.tool}"`, detail: error.message })
          })
      )
    )
  }
}

const text = (block: Record<string, unknown>, ...keys: ReadonlyArray<string>) =>
  keys.every((key) => typeof block[key] === "string")

// Written out, because this runs for every call: a schema would cost more than the rest of the call's machinery.
const isContentBlock = (block: unknown): block is ContentBlock => {
  if (!isRecord(block)) return false
  switch (block["type"]) {
    case "text":
      return text(block, "text")
    case "image":
    case "audio":
      return text(block, "data", "mimeType")
    case "resource_link":
      return text(block, "uri", "name")
    case "resource":
      return isRecord(block["resource"]) && text(block["resource"], "uri")
    default:
      return false
  }
}

/** Reads a `tools/call` result, or says what is wrong with it. */
export const fromResult = (
  server: string,
  tool: string,
  raw: Readonly<Record<string, unknown>>
): ToolResult | InvalidResult => {
  // Absent content is allowed beside structured content by servers of every age; it reads as empty.
  const content = raw["content"] ?? []
  const request = `tool "${tool}"`
  if (!Array.isArray(content)) return new InvalidResult({ server, request, detail: "its content is not a list" })
  const bad = content.findIndex((block) => !isContentBlock(block))
  return bad === -1
    ? new ToolResult(server, tool, content, raw)
    : new InvalidResult({ server, request, detail: `content block ${bad + 1} is of no known shape` })
}
