import { assert, describe, it } from "@effect/vitest"
import { ToolResult } from "@scoped-mcp/core"
import { Effect, Schema } from "effect"

const Row = Schema.Struct({ id: Schema.Finite })

const read = (raw: Readonly<Record<string, unknown>>) => {
  const result = ToolResult.fromResult("s", "t", raw)
  assert.instanceOf(result, ToolResult.ToolResult)
  return result
}

describe("ToolResult", () => {
  it("joins its text blocks and takes absent content for none", () => {
    const image = { type: "image", data: "", mimeType: "image/png" }
    const content = [{ type: "text", text: "one" }, image, { type: "text", text: "two" }]
    assert.strictEqual(read({ content }).text, "one\ntwo")
    assert.strictEqual(read({ structuredContent: { id: 1 } }).text, "")
  })

  it.effect("decodes structured content, or else its text as JSON", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read({ structuredContent: { id: 1 } }).decode(Row), { id: 1 })
      assert.deepStrictEqual(yield* read({ content: [{ type: "text", text: '{"id":2}' }] }).decode(Row), { id: 2 })
      for (const text of ["not JSON", '{"id":"3"}']) {
        const { reason } = yield* Effect.flip(read({ content: [{ type: "text", text }] }).decode(Row))
        assert.deepInclude(reason, { _tag: "InvalidResult", delivery: "Answered", request: 'tool "t"' })
      }
    })
  )
})
