import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as FrameBuffer from "../../src/internal/FrameBuffer.ts"
import * as LineFramer from "../../src/internal/LineFramer.ts"

const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes)

const frame = (limit: number, chunks: Iterable<Uint8Array>) => {
  const seen: Array<string> = []
  const push = LineFramer.make(limit, {
    onLine: (line) => seen.push(`line ${text(line)}`),
    onOversize: (head) => seen.push(`head ${text(head)}`),
    onOversizeEnd: (tail) => seen.push(`tail ${text(tail)}`),
    onEndless: () => seen.push("endless")
  })
  for (const chunk of chunks) push(chunk)
  return seen
}

/** What the framer is to say, written without a state. */
const expected = (limit: number, bytes: Uint8Array) => {
  const pieces = text(bytes).split("\n")
  const open = pieces.pop()!
  const tooLong = (line: string) => (line.length > FrameBuffer.endless * limit ? ["head", "endless"] : ["head"])
  const said = pieces.flatMap((line) => {
    if (line.length > limit) return [...tooLong(line), `tail ${line.slice(-FrameBuffer.kept)}`]
    return line === "" ? [] : [`line ${line}`]
  })
  return open.length > limit ? [...said, ...tooLong(open)] : said
}

const pieces = function* (bytes: Uint8Array, cuts: ReadonlyArray<number>) {
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const length = cuts.length === 0 ? bytes.length : cuts[i % cuts.length]!
    yield bytes.subarray(at, at + length)
    at += length
  }
}

describe("LineFramer", () => {
  // Few different bytes, so that empty lines, long lines and CRLF are all common.
  const bytes = Schema.Array(Schema.Literals([0x0a, 0x0d, 0x61, 0x62, 0xff]))
  const cuts = Schema.Array(Schema.Literals([1, 2, 3, 5, 9]))
  const limit = Schema.Literals([1, 2, 3, 8, 20])

  it.prop(
    "gives the same lines however the stream is split",
    [bytes, cuts, limit],
    ([stream, cuts, limit]) => {
      const all = Uint8Array.from(stream)
      // How much of a line was there when it grew too long depends on the split; that it did does not.
      const said = frame(limit, pieces(all, cuts)).map((line) => (line.startsWith("head") ? "head" : line))
      assert.deepStrictEqual(said, expected(limit, all))
    },
    { arbitrary: { runs: 2_000 } }
  )

  it("leaves the carriage return to the parser, and skips empty lines", () => {
    const chunk = new TextEncoder().encode("\n\na\r\n\nb\n")
    assert.deepStrictEqual(frame(100, [chunk]), ["line a\r", "line b"])
  })

  it("keeps the first and the last 4 KiB of a line that is too long, once, and the next line whole", () => {
    const long = `HEAD${"x".repeat(50_000)}TAIL`
    const chunks = pieces(new TextEncoder().encode(`${long}\nnext\n`), [1_000])
    const seen = frame(10_000, chunks)
    assert.deepStrictEqual(seen, [
      `head ${long.slice(0, FrameBuffer.kept)}`,
      `tail ${long.slice(-FrameBuffer.kept)}`,
      "line next"
    ])
  })

  it.effect.prop(
    "passes text of any language through bytes that are cut anywhere",
    [Schema.String, Schema.Int],
    ([line, cut]) =>
      Effect.sync(() => {
        const clean = line.replaceAll("\n", "")
        // A lone surrogate has no UTF-8; the encoder writes U+FFFD for it.
        const encoded = new TextEncoder().encode(`${clean}\n`)
        const seen: Array<string> = []
        const push = LineFramer.make(1_000_000, {
          onLine: (bytes) => seen.push(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)),
          onOversize: () => {},
          onOversizeEnd: () => {},
          onEndless: () => {}
        })
        for (const chunk of pieces(encoded, [1 + (Math.abs(cut) % 7)])) push(chunk)
        assert.deepStrictEqual(
          seen,
          clean === "" ? [] : [new TextDecoder("utf-8", { ignoreBOM: true }).decode(encoded.subarray(0, -1))]
        )
      })
  )
})
