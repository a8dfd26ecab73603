import { assert, describe, it } from "@effect/vitest"
import * as ResultSchema from "../../src/internal/resultSchema.ts"

const check = (schema: unknown, value: unknown) => ResultSchema.compile(JSON.stringify(schema))(value)

const isWrong = (checked: ResultSchema.Checked) => assert.isTrue(typeof checked === "object", JSON.stringify(checked))

const person = {
  type: "object",
  properties: { name: { type: "string", minLength: 1 }, age: { type: "integer", minimum: 0 }, next: { $ref: "#" } },
  required: ["name"],
  additionalProperties: false
}

describe("an output schema", () => {
  it("tells right from wrong, and says where", () => {
    assert.strictEqual(check(person, { name: "Ada", age: 36, next: { name: "Bob" } }), "right")
    for (const value of [null, 7, [], {}, { name: "" }, { name: "a", age: -1 }, { name: "a", more: 1 }]) {
      isWrong(check(person, value))
    }
    const checked = check(person, { name: "Ada", next: { name: 7 } })
    assert.include(typeof checked === "object" ? checked.wrong : "", "#/next/name")
  })

  it("may be of an older draft, and may be of something else than an object", () => {
    const tuple = { $schema: "http://json-schema.org/draft-07/schema#", type: "array", items: [{ type: "string" }] }
    assert.strictEqual(check(tuple, ["a"]), "right")
    isWrong(check(tuple, [1]))
    assert.strictEqual(check({ type: "integer" }, 0), "right")
  })

  it("finds what it refers to inside itself, and fetches nothing", () => {
    const local = { $defs: { a: { type: "string" } }, $ref: "#/$defs/a" }
    assert.strictEqual(check(local, "a"), "right")
    isWrong(check(local, 1))
    assert.strictEqual(check({ $ref: "https://example.com/schema.json" }, 1), "unusable")
  })

  it("that cannot be used harms nobody", () => {
    const odd = [{ $id: 7 }, { $id: "http://[" }, { $schema: "urn:unknown" }, { $ref: 7 }, { required: 7 }]
    for (const schema of odd) assert.notStrictEqual(typeof check(schema, { a: 1 }), "object", JSON.stringify(schema))
    assert.strictEqual(check({ description: "x".repeat(300 * 1024) }, 1), "unusable")
    assert.strictEqual(check({ $id: "urn:x", type: "string" }, "a"), "right")
  })

  it("costs what its budget allows, however it is made", () => {
    const doubling = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [
        `d${n}`,
        n === 39 ? { type: "boolean" } : { anyOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] }
      ])
    )
    const many = Array.from({ length: 200_000 }, (_, n) => n)
    const names = Array.from({ length: 5_000 }, (_, n) => `p${n}`)
    const wide = { items: { properties: Object.fromEntries(names.map((name) => [name, {}])) } }
    const costly: ReadonlyArray<readonly [unknown, unknown]> = [
      [{ $defs: doubling, $ref: "#/$defs/d0" }, 1],
      [{ $ref: "#" }, 1],
      [{ items: { type: "integer" } }, many],
      [wide, many.map(() => ({}))],
      [{ items: { enum: names } }, many.map(() => names.at(-1))]
    ]
    for (const [schema, value] of costly) {
      const before = performance.now()
      assert.strictEqual(check(schema, value), "unusable")
      assert.isBelow(performance.now() - before, 2_000)
    }
  })

  it("does not run patterns of the server's, nor what depends on them", () => {
    const before = performance.now()
    const text = `${"a".repeat(40)}!`
    assert.strictEqual(check({ pattern: "^(a+)+$" }, text), "right")
    assert.strictEqual(
      check({ patternProperties: { "^(a+)+$": false }, additionalProperties: false }, { [text]: 1 }),
      "right"
    )
    assert.isBelow(performance.now() - before, 1_000)
  })

  it("is not changed", () => {
    const schema = { type: "string", $defs: { a: { $ref: "#" } } }
    const text = JSON.stringify(schema)
    ResultSchema.compile(text)("a")
    assert.strictEqual(JSON.stringify(schema), text)
  })
})
