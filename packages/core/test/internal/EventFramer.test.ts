import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as EventFramer from "../../src/internal/EventFramer.ts"

const encode = (text: string) => new TextEncoder().encode(text)

const read = (limit: number, chunks: Iterable<Uint8Array>) => {
  const seen: Array<unknown> = []
  const push = EventFramer.make(limit, {
    onEvent: (event) => seen.push(event),
    onOversize: (head) => seen.push(`head ${head}`),
    onOversizeEnd: (tail) => seen.push(`tail ${tail}`),
    onEndless: () => seen.push("endless")
  })
  for (const chunk of chunks) push(chunk)
  return seen
}

const event = (fields: Partial<EventFramer.ServerEvent>) => ({
  event: "message",
  data: undefined,
  id: undefined,
  retry: undefined,
  ...fields
})

const pieces = function* (bytes: Uint8Array, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

describe("EventFramer", () => {
  const stream = [
    ": a comment",
    "",
    "id: 1",
    "retry: 500",
    "",
    "event: endpoint",
    "data:/message",
    "",
    "",
    "data: {",
    "data:  1 }",
    "id: ü",
    "odd: field",
    "",
    "data",
    "",
    "retry: soon",
    "id: \0",
    "data: \u2713",
    "",
    "data: never finished"
  ]
  const expected = [
    event({}),
    event({ id: "1", retry: 500 }),
    event({ event: "endpoint", data: "/message" }),
    event({ data: "{\n 1 }", id: "ü" }),
    event({ data: "" }),
    event({ data: "\u2713" })
  ]
  it.each(["\n", "\r\n", "\r"])("reads the fields of events, however the stream is split: lines end with %j", (end) => {
    const bytes = encode(stream.join(end))
    for (let length = 1; length <= bytes.length; length++) {
      assert.deepStrictEqual(read(1_000, pieces(bytes, length)), expected)
    }
  })

  it.prop("never throws and ends with a fresh event after two line ends, whatever comes", [Schema.String], ([text]) => {
    const seen = read(1_000_000, [encode(`${text}\n\ndata: fresh\n\n`)])
    assert.deepInclude(seen.at(-1), { data: "fresh" })
  })

  it("keeps the two ends of an event over the limit, and reads the next one whole", () => {
    const data = `{"id":1,"text":"${"x".repeat(20_000)}","last":2}`
    const bytes = encode(`event: message\nid: 3\ndata: ${data}\nid: 4\n\ndata: next\n\n`)
    const seen = read(8_000, pieces(bytes, 1_000))
    assert.lengthOf(seen, 3)
    assert.match(String(seen[0]), /^head {"id":1,"text":"x+$/)
    assert.match(String(seen[1]), /^tail x+","last":2}$/)
    assert.deepStrictEqual(seen[2], event({ data: "next" }))
  })

  it("says that an event does not end, once", () => {
    const seen = read(
      100,
      Array.from({ length: 20 }, () => encode(`data: ${"x".repeat(90)}\n`))
    )
    assert.deepStrictEqual(
      seen.map((it) => String(it).slice(0, 7)),
      ["head xx", "endless"]
    )
  })

  it("takes time in proportion to its length, whatever ends its lines", () => {
    for (const end of ["\n", "\r"]) {
      const bytes = encode(`data:${end}`.repeat(200_000))
      const startedAt = performance.now()
      read(16 * 1024 * 1024, [bytes])
      assert.isBelow(performance.now() - startedAt, 2_000)
    }
  })
})
