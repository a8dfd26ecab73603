import { assert, describe, it } from "@effect/vitest"
import { ToolContent } from "@scoped-mcp/agent"
import { Schema } from "effect"

type Content = Parameters<typeof ToolContent.convert>[0]["content"]

const limits = ToolContent.resolve({ maxText: "20 B", maxMedia: "6 B", maxBlocks: 4 })
const roomy = ToolContent.resolve({})
const texts = ({ content }: ToolContent.Converted) =>
  content.map((part) => (part.type === "text" ? part.text : part.mediaType))
const convert = (content: Content, structuredContent?: Record<string, unknown>, within = roomy) =>
  ToolContent.convert({ content, structuredContent }, within)

describe("ToolContent", () => {
  it("converts every kind of block", () => {
    const converted = convert([
      { type: "text", text: "hello" },
      { type: "image", data: "aGk=", mimeType: "image/png" },
      { type: "audio", data: "aGk=", mimeType: "audio/wav" },
      { type: "resource", resource: { uri: "file:///a.txt", text: "inside" } },
      { type: "resource", resource: { uri: "file:///a.pdf", mimeType: "application/pdf", blob: "aGk=" } },
      { type: "resource_link", uri: "file:///b.txt", name: "b", mimeType: "text/plain" }
    ])
    assert.deepStrictEqual(texts(converted), [
      "hello",
      "image/png",
      "audio/wav",
      "[Resource file:///a.txt]\ninside",
      "application/pdf",
      "[Link to a resource, not its content. name: b, uri: file:///b.txt, mimeType: text/plain]"
    ])
    assert.isFalse(converted.cut)
  })

  it("shows structured content where there is no text, and once where there is", () => {
    assert.deepStrictEqual(texts(convert([], { a: 1 })), ['{"a":1}'])
    assert.deepStrictEqual(texts(convert([{ type: "text", text: "a is 1" }], { a: 1 })), ["a is 1"])
  })

  it("cuts text at its limit over all blocks, and says so", () => {
    const converted = convert(
      [
        { type: "text", text: "x".repeat(15) },
        { type: "text", text: "y".repeat(15) }
      ],
      undefined,
      limits
    )
    assert.deepStrictEqual(texts(converted), [
      "x".repeat(15),
      "y".repeat(5),
      "[10 more characters were left out; ask for less or for a part]"
    ])
    assert.deepInclude(converted, { bytes: 20, cut: true })
  })

  it("leaves out media that are too large or of a kind the model does not take, and says so", () => {
    const media = convert(
      [
        { type: "image", data: "aGVsbG8gd29ybGQ=", mimeType: "image/png" },
        { type: "resource", resource: { uri: "file:///a.zip", mimeType: "application/zip", blob: "aGk=" } }
      ],
      undefined,
      limits
    )
    assert.deepStrictEqual(texts(media), [
      "[image/png, 12 bytes: larger than the limit of 6]",
      "[application/zip file:///a.zip, 3 bytes: not a kind this model takes]"
    ])
  })

  it("leaves out blocks beyond their number, and says so", () => {
    const blocks = Array.from({ length: 6 }, () => ({ type: "text" as const, text: "a" }))
    assert.strictEqual(texts(convert(blocks, undefined, limits)).at(-1), "[2 more blocks were left out]")
  })

  it.prop(
    "never gives more than its limit, and never half a character",
    [Schema.Array(Schema.String), Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))],
    ([strings, maxText]) => {
      const content = strings.map((text) => ({ type: "text" as const, text }))
      const { bytes, content: parts } = convert(content, undefined, { ...roomy, maxText })
      assert.isAtMost(bytes, maxText)
      const given = strings.join("\u0000")
      for (const part of parts) {
        if (part.type !== "text" || part.text.startsWith("[")) continue
        assert.isTrue(given.includes(part.text))
        assert.isFalse(
          /[\uD800-\uDBFF]$/.test(part.text) && !given.includes(`${part.text}\u0000`) && !given.endsWith(part.text)
        )
      }
    }
  )
})
