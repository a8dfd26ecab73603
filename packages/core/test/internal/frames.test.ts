import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as frames from "../../src/internal/frames.ts"

describe("frames", () => {
  it("takes only JSON-RPC objects for frames", () => {
    assert.deepStrictEqual(frames.parseFrame(' {"jsonrpc":"2.0","id":1}\r'), { jsonrpc: "2.0", id: 1 })
    for (const noise of [
      "",
      "null",
      "42",
      "[]",
      "{",
      "{}",
      '{"jsonrpc":"1.0"}',
      '[{"jsonrpc":"2.0"}]',
      "{nope}",
      "\u0000{"
    ]) {
      assert.isUndefined(frames.parseFrame(noise), noise)
    }
  })

  it.prop("never throws, whatever a server prints", [Schema.String], ([text]) => void frames.parseFrame(`{${text}`))

  it("finds every id of the engine's in a piece of a message", () => {
    assert.deepStrictEqual(
      frames.requestIdsIn('{"rows":[{"id":1234567890},{"id": 7},{"id":"1000000001"}],"id" : 1000000002}'),
      [1234567890, 1000000002]
    )
    assert.deepStrictEqual(frames.requestIdsIn("cut off: 1000000000"), [])
  })
})
