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

  const answers: Record<string, readonly [head: string, tail: string]> = {
    "first after the version": ['{"jsonrpc":"2.0","id":1000000001,"result":{"text":"cut', 'off"}}'],
    "first of all": ['{ "id" : 1000000001, "jsonrpc" : "2.0", "error": {"message":"cut', 'off"}}\r'],
    "last of all": ['{"jsonrpc":"2.0","result":{"text":"cut', 'off"},"id":1000000001}'],
    "last before the version": ['{"result":{"text":"cut', 'off"}, "id": 1000000001 , "jsonrpc":"2.0" } ']
  }
  it.each(Object.keys(answers))("finds the id that a message has %s", (name) => {
    const [head, tail] = answers[name]!
    assert.strictEqual(frames.answeredAtStart(head) ?? frames.answeredAtEnd(tail), 1_000_000_001)
  })

  const others: Record<string, readonly [head: string, tail: string]> = {
    "an id in the data": ['{"jsonrpc":"2.0","result":{"id":1000000001,"text":"cut', 'off","id":1000000001}}'],
    "an id of the data at the end of a list": ['{"jsonrpc":"2.0","result":[{"id":1000000001}', '{"id":1000000001}]}'],
    "an id in a text": [
      String.raw`{"jsonrpc":"2.0","result":{"text":"{\"jsonrpc\":\"2.0\",\"id\":1000000001,\"result\":`,
      String.raw`,\"id\":1000000001}"}}`
    ],
    "an id of the other side": ['{"jsonrpc":"2.0","id":7,"result":{', '},"id":7}'],
    "an id that is a text": ['{"jsonrpc":"2.0","id":"1000000001","result":{', '},"id":"1000000001"}'],
    "an id that is cut": ['{"jsonrpc":"2.0","id":1000000001', "000000001}"],
    "the id of a request": ['{"jsonrpc":"2.0","id":1000000001,"method":"sampling/createMessage","params":{', "}}"]
  }
  it.each(Object.keys(others))("does not take for the id of an answer %s", (name) => {
    const [head, tail] = others[name]!
    assert.isUndefined(frames.answeredAtStart(head))
    assert.isUndefined(frames.answeredAtEnd(tail))
  })
})
