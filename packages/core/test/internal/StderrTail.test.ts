import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import * as StderrTail from "../../src/internal/StderrTail.ts"

describe("StderrTail", () => {
  it("gives the last lines that say something", () => {
    const tail = StderrTail.make()
    for (const chunk of ["one\ntw", "o\n\n  three  \r\n"]) tail.push(new TextEncoder().encode(chunk))
    assert.strictEqual(tail.text(2), "two | three")
    assert.strictEqual(StderrTail.make().text(10), "")
  })

  it("shows the error of a Node.js that has crashed, and not its stack", () => {
    const tail = StderrTail.make()
    const stack = Array.from({ length: 10 }, (_, n) => `    at call${n} (node:internal/modules/cjs/loader:12:${n})`)
    const printed = [
      "  throw err;",
      "  ^",
      "",
      "Error: Cannot find module '/nix.js'",
      ...stack,
      "    at node:main:33:47 {"
    ]
    const rest = ["  code: 'MODULE_NOT_FOUND',", "  requireStack: []", "}", "", "Node.js v24.21.0"]
    tail.push(new TextEncoder().encode([...printed, ...rest].join("\n")))
    assert.strictEqual(
      tail.text(8),
      "throw err; | ^ | Error: Cannot find module '/nix.js' | code: 'MODULE_NOT_FOUND', | requireStack: [] | } | Node.js v24.21.0"
    )
  })

  it("keeps 64 KiB of a flood, of whatever chunks it comes in", () => {
    for (const size of [1, 1_000, 300_000]) {
      const tail = StderrTail.make()
      const chunk = new TextEncoder().encode("x".repeat(size))
      for (let sent = 0; sent < 600_000; sent += size) tail.push(chunk)
      tail.push(new TextEncoder().encode("\nthe end"))
      assert.isAtMost(tail.text(10).length, 64 * 1024 + 3)
      assert.strictEqual(tail.text(1), "the end")
    }
  })

  it("holds no more memory in a flood than the end of it takes", () => {
    setFlagsFromString("--expose_gc")
    const collect = runInNewContext("gc") as () => void
    const tail = StderrTail.make()
    const chunk = new Uint8Array(64 * 1024).fill(0x78)
    collect()
    const before = process.memoryUsage().arrayBuffers
    for (let sent = 0; sent < 1_000; sent++) tail.push(chunk)
    // What the first finds is given back by the next one.
    for (let times = 0; times < 3; times++) collect()
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 8 * 1024 * 1024)
    assert.lengthOf(tail.text(1), 64 * 1024)
  })

  it("keeps its own copy, because chunks are reused", () => {
    const tail = StderrTail.make()
    const chunk = new TextEncoder().encode("before")
    tail.push(chunk)
    chunk.fill(0x21)
    assert.strictEqual(tail.text(1), "before")
  })
})
