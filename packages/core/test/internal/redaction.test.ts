import { assert, describe, it } from "@effect/vitest"
import * as Redaction from "../../src/internal/redaction.ts"

describe("redaction", () => {
  it("replaces every secret, the longest first", () => {
    const scrub = Redaction.make(["hunter2", "hunter2-and-more"])
    assert.strictEqual(scrub("a hunter2-and-more b hunter2 c"), "a <redacted> b <redacted> c")
  })

  it("takes secrets literally, not as patterns", () => {
    assert.strictEqual(Redaction.make(["a.c$&+(x)"])("abc$&+(x) a.c$&+(x)"), "abc$&+(x) <redacted>")
  })

  it("knows those that come later, and orders them among the others", () => {
    const later: Array<string> = []
    const scrub = Redaction.make(["token"], () => later)
    assert.strictEqual(scrub("token-of-today"), "<redacted>-of-today")
    later.push("token-of-today")
    assert.strictEqual(scrub("token-of-today token"), "<redacted> <redacted>")
  })

  it("reaches every text inside a value, keys included, and leaves the rest as it is", () => {
    const scrub = Redaction.deep(Redaction.make(["canary"]))
    assert.deepStrictEqual(scrub({ a: ["canary", 1, null, { canary: "the canary" }], b: true }), {
      a: ["<redacted>", 1, null, { "<redacted>": "the <redacted>" }],
      b: true
    })
  })
})
