import { assert, describe, it } from "@effect/vitest"
import * as ParamHeaders from "../../src/internal/paramHeaders.ts"

const object = (properties: Readonly<Record<string, unknown>>, rest: object = {}) => ({
  type: "object",
  properties,
  ...rest
})

const header = (name: unknown, type: unknown = "string") => ({ type, "x-mcp-header": name })

describe("headers of arguments", () => {
  it("are declared at any depth of properties", () => {
    const schema = object({
      a: header("Region"),
      b: object({ c: header("Count", "integer"), d: header("Sure", "boolean") })
    })
    const scanned = ParamHeaders.scan(schema)
    assert.isTrue("declarations" in scanned)
    const declarations = "declarations" in scanned ? scanned.declarations : []
    assert.deepStrictEqual(ParamHeaders.headers(declarations, { a: "eu", b: { c: 42, d: false } }), {
      "Mcp-Param-Region": "eu",
      "Mcp-Param-Count": "42",
      "Mcp-Param-Sure": "false"
    })
  })

  it("are absent where their argument is, or is of another type", () => {
    const declarations = ["a", "b", "c", "d", "toString"].map((key) => ({ path: [key], header: key }))
    assert.deepStrictEqual(ParamHeaders.headers(declarations, { a: null, b: {}, c: 2 ** 60, d: Number.NaN }), {})
  })

  it.each([
    ["eu-west 1", "eu-west 1"],
    ["a\tb", "a\tb"],
    ["", "=?base64??="],
    [" eu", "=?base64?IGV1?="],
    ["ü", "=?base64?w7w=?="],
    ["a\r\nX: b", "=?base64?YQ0KWDogYg==?="],
    ["=?base64?aGk=?=", "=?base64?PT9iYXNlNjQ/YUdrPT89?="]
  ])("hold every text: %j", (text, value) => {
    assert.deepStrictEqual(ParamHeaders.headers([{ path: ["a"], header: "A" }], { a: text }), { "Mcp-Param-A": value })
  })

  it.each([
    ["an empty name", object({ a: header("") })],
    ["a name with a blank", object({ a: header("a b") })],
    ["a name with a line break", object({ a: header("a\r\nb") })],
    ["a name that is no text", object({ a: header(7) })],
    ["an argument that is a number", object({ a: header("A", "number") })],
    ["an argument that is an object", object({ a: header("A", "object") })],
    ["an argument of no type", object({ a: { "x-mcp-header": "A" } })],
    ["the same name twice", object({ a: header("Same"), b: header("sAME") })],
    ["the schema itself", { ...object({}), "x-mcp-header": "A" }],
    ["items of a list", object({ a: { type: "array", items: header("A") } })],
    ["one of several", object({ a: { anyOf: [header("A")] } })],
    ["a definition", object({}, { $defs: { a: header("A") } })],
    ["further properties", object({}, { additionalProperties: header("A") })],
    ["properties of a branch", object({}, { else: object({ a: header("A") }) })]
  ])("must not be declared with %s", (_, schema) => {
    assert.property(ParamHeaders.scan(schema), "fault")
  })

  it("are not looked for in data", () => {
    const schema = object({ a: { type: "object", default: header("a b"), enum: [header("a b")] } })
    assert.deepStrictEqual(ParamHeaders.scan(schema), { declarations: [] })
  })
})
