import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as Scrub from "../../src/internal/recordingScrub.ts"

describe("the scrub of a recording", () => {
  it("takes a given secret out wherever it stands, and however it is written", () => {
    const secret = "p@ss word/1"
    const { applied, value } = Scrub.make([Redacted.make(secret)])
    const clean = value({
      plain: `it is ${secret}!`,
      uri: `?q=${encodeURIComponent(secret)}`,
      basic: Buffer.from(secret).toString("base64"),
      [`named ${secret}`]: [{ deep: secret }]
    })
    assert.deepStrictEqual(clean, {
      plain: "it is <redacted>!",
      uri: "?q=<redacted>",
      basic: "<redacted>",
      "named <redacted>": [{ deep: "<redacted>" }]
    })
    assert.deepStrictEqual(applied(), [{ rule: "given secrets", count: 5 }])
  })

  it("takes a short secret out where it is the whole value, be it a number", () => {
    const { value } = Scrub.make(["1234"])
    assert.deepStrictEqual(value(["1234", 1234, "at 12345"]), ["<redacted>", "<redacted>", "at 12345"])
  })

  it("takes out what is named like a secret, and leaves what only sounds like one", () => {
    const { value } = Scrub.make([])
    const left = { progressToken: "p-1", maxTokens: 100, token: { type: "string" } }
    assert.deepStrictEqual(value({ ...left, authorization: "x", apiKey: "x", access_token: "x", dbPassword: "x" }), {
      ...left,
      authorization: "<redacted>",
      apiKey: "<redacted>",
      access_token: "<redacted>",
      dbPassword: "<redacted>"
    })
  })

  it("takes credentials out of texts", () => {
    const { value } = Scrub.make([])
    assert.strictEqual(
      value("sent Authorization: Bearer abc.def-123, then"),
      "sent Authorization: Bearer <redacted>, then"
    )
  })

  it("changes nothing that it has cleaned before", () => {
    const { value } = Scrub.make(["the secret"])
    const clean = value({ password: "x", text: "the secret, Bearer abcdefgh" })
    assert.deepStrictEqual(value(clean), clean)
  })
})
