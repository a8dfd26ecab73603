import { assert, describe, it } from "@effect/vitest"
import { ToolNames } from "@scoped-mcp/core"
import { Schema } from "effect"

/** Names as people make them, and as nobody would: every character that the encoding treats in its own way. */
const awkward = Schema.String.check(Schema.isPattern(/^[-_Zz0-9af é😀.]{0,12}$/u))
const anything = Schema.Union([Schema.String, awkward])
const Ref = Schema.Struct({ server: anything, tool: anything })
const Long = Schema.Struct({
  server: Schema.String.check(Schema.isMinLength(40)),
  tool: Schema.String.check(Schema.isMinLength(30))
})

const valid = /^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$/

describe("ToolNames", () => {
  it("leaves ordinary names readable", () => {
    assert.strictEqual(ToolNames.encode({ server: "sql", tool: "execute_query" }), "sql__execute_query")
    assert.strictEqual(ToolNames.encode({ server: "my-files", tool: "list-users" }), "my-files__list-users")
  })

  it("tells apart what plain joining would not", () => {
    const pairs = [
      { server: "a", tool: "b__c" },
      { server: "a__b", tool: "c" },
      { server: "a_", tool: "b" },
      { server: "a", tool: "_b" },
      { server: "a", tool: "b.c" },
      { server: "a", tool: "b-Z2e-c" },
      { server: "", tool: "a" },
      { server: "_", tool: "a" }
    ]
    assert.strictEqual(new Set(pairs.map(ToolNames.encode)).size, pairs.length)
    for (const pair of pairs) assert.deepStrictEqual(ToolNames.decode(ToolNames.encode(pair)), pair)
  })

  it.prop("is one that every model takes", [Schema.Union([Ref, Long])], ([ref]) => {
    assert.match(ToolNames.encode(ref), valid)
  })

  it.prop("is read back, unless it has a hash", [Ref], ([ref]) => {
    const name = ToolNames.encode(ref)
    const decoded = ToolNames.decode(name)
    if (decoded === undefined) assert.strictEqual(name.length, ToolNames.maxLength)
    else assert.deepStrictEqual(decoded, ref)
    assert.deepStrictEqual(ToolNames.make([ref]).fromName(name), ref)
  })

  it.prop("is never taken for another tool when it has a hash", [Long], ([ref]) => {
    const name = ToolNames.encode(ref)
    assert.isUndefined(ToolNames.decode(name))
    assert.deepStrictEqual(ToolNames.make([ref]).fromName(name), ref)
  })

  it.prop("is decoded only from what was encoded", [Schema.String], ([text]) => {
    const ref = ToolNames.decode(text)
    if (ref !== undefined) assert.strictEqual(ToolNames.encode(ref), text)
  })

  it.prop("depends on no order and no company", [Schema.Array(Ref)], ([refs]) => {
    const forwards = ToolNames.make(refs)
    const backwards = ToolNames.make(refs.toReversed())
    for (const ref of refs) {
      const name = forwards.toName(ref)
      assert.strictEqual(name, ToolNames.encode(ref))
      assert.strictEqual(backwards.toName(ref), name)
      assert.deepStrictEqual(forwards.fromName(ToolNames.encode(ref)), ref)
    }
    assert.strictEqual(forwards.names.length, new Set(refs.map((ref) => JSON.stringify(ref))).size)
  })

  it("keeps long names apart that differ only at their ends", () => {
    const server = "a-server-with-a-rather-long-name"
    const refs = Array.from({ length: 2_000 }, (_, index) => ({ server, tool: `${"x".repeat(60)}${index}` }))
    assert.strictEqual(new Set(refs.map(ToolNames.encode)).size, refs.length)
    assert.deepStrictEqual(ToolNames.make(refs).refused, [])
  })

  it("refuses two tools of one name, both, whichever came first", () => {
    const one = { server: "a", tool: "one" }
    const two = { server: "b", tool: "two" }
    const other = { server: "c", tool: "three" }
    const same = (ref: ToolNames.ToolRef) => (ref.server === "c" ? "other" : "same")
    for (const refs of [
      [one, two, other, one],
      [other, two, one]
    ]) {
      const names = ToolNames.make(refs, same)
      assert.deepStrictEqual(names.refused, [[one, two]])
      assert.isUndefined(names.toName(one))
      assert.isUndefined(names.fromName("same"))
      assert.deepStrictEqual(names.names, ["other"])
    }
  })
})
