import { assert, describe, it } from "@effect/vitest"
import { type Limits, McpConnection, type McpError } from "@scoped-mcp/core"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "./support/platform.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

type Page = (params: Readonly<Record<string, unknown>>) => unknown

const open = (page: Page, limits: Limits.ServerLimits = {}) => {
  const peer = new ScriptedPeer({ methods: { "tools/list": page } })
  return Effect.map(
    McpConnection.make("memory", peer.source(limits)).pipe(Effect.provide(Platform.none)),
    (connection) => ({ peer, connection })
  )
}

const reasonOf = <A>(effect: Effect.Effect<A, McpError.McpError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const tool = (name: string) => ({ name, inputSchema: { type: "object" } })

describe("a listing", () => {
  it.effect("walks all pages, and asks for each once", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* open(({ cursor }) =>
        cursor === undefined
          ? { tools: [tool("a"), tool("b")], nextCursor: "" }
          : cursor === ""
            ? { tools: [tool("c")], nextCursor: "2" }
            : { tools: [], nextCursor: null }
      )
      const names = (yield* connection.listTools).map(({ name }) => name)
      assert.deepStrictEqual(names, ["a", "b", "c"])
      assert.deepStrictEqual(
        peer.sent("tools/list").map(({ params }) => params!["cursor"]),
        [undefined, "", "2"]
      )
    })
  )

  it.effect("fails when a cursor comes again, instead of being cut short", () =>
    Effect.gen(function* () {
      let pages = 0
      const { connection } = yield* open(() => ({ tools: [tool(`t${pages}`)], nextCursor: String(pages++ % 2) }))
      const reason = yield* reasonOf(connection.listTools)
      assert.deepInclude(reason, { _tag: "ProtocolError", request: "tools/list", delivery: "Answered" })
      assert.include(reason.message, "cursor points back")
      assert.strictEqual(pages, 3)
    })
  )

  it.effect("has at most 100 pages", () =>
    Effect.gen(function* () {
      let pages = 0
      const { connection } = yield* open(() => ({ tools: [], nextCursor: String(++pages) }))
      const reason = yield* reasonOf(connection.listTools)
      assert.deepInclude(reason, { _tag: "ProtocolError", delivery: "Answered" })
      assert.include(reason.message, "more than 100 pages")
      assert.strictEqual(pages, 100)
    })
  )

  it.effect("has at most 10,000 items", () =>
    Effect.gen(function* () {
      const thousand = Array.from({ length: 1_000 }, (_, n) => tool(`t${n}`))
      let pages = 0
      const { connection } = yield* open(() =>
        ++pages <= 10 ? { tools: thousand, nextCursor: String(pages) } : { tools: [tool("one more")] }
      )
      const reason = yield* reasonOf(connection.listTools)
      assert.deepInclude(reason, { _tag: "ProtocolError", delivery: "Answered" })
      assert.include(reason.message, "more than 10000 items")
    })
  )

  it.effect.each([
    ["no list", {}, "it has no list of tools"],
    ["an item without a name", { tools: [tool("a"), { inputSchema: {} }] }, "item 2 has no name"],
    ["an item without a schema", { tools: [{ name: "a" }] }, "item 1 has no inputSchema"],
    ["an item that is no object", { tools: ["a"] }, "item 1 is no object"],
    ["a cursor that is no text", { tools: [], nextCursor: 7 }, "its cursor is no text"]
  ] as const)("refuses a page with %s", ([, page, detail]) =>
    Effect.gen(function* () {
      const { connection } = yield* open(() => page)
      assert.deepInclude(yield* reasonOf(connection.listTools), { _tag: "InvalidResult", detail, delivery: "Answered" })
    })
  )

  it.effect("that is met with silence is given up after the idle limit, and the server is told", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ capabilities: { prompts: {} } })
      const limits = { callIdleTimeout: "10 seconds" } as const
      const connection = yield* McpConnection.make("memory", peer.source(limits)).pipe(Effect.provide(Platform.none))
      peer.answer = () => {}
      const listing = yield* Effect.forkChild(reasonOf(connection.listPrompts), { startImmediately: true })
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(listing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const reason = yield* Fiber.join(listing)
      assert.deepInclude(reason, { _tag: "CallTimeout", phase: "Idle", delivery: "OutcomeUnknown" })
      assert.lengthOf(peer.sent("notifications/cancelled"), 1)
    })
  )

  it.effect("has the limits of one call for all of its pages together", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const limits = { callIdleTimeout: "10 seconds", callTimeout: "25 seconds" } as const
      const connection = yield* McpConnection.make("memory", peer.source(limits)).pipe(Effect.provide(Platform.none))
      const answered: Array<() => void> = []
      peer.answer = (session, { id }) => {
        const result = { tools: [], nextCursor: String(id) }
        answered.push(() => session.raw({ jsonrpc: "2.0", id, result }))
      }
      const listing = yield* Effect.forkChild(reasonOf(connection.listTools), { startImmediately: true })
      for (let page = 0; page < 3; page++) {
        yield* peer.until(() => answered.length > page)
        yield* TestClock.adjust("8 seconds")
        answered[page]!()
      }
      yield* peer.until(() => answered.length > 3)
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(listing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const reason = yield* Fiber.join(listing)
      assert.deepInclude(reason, { _tag: "CallTimeout", phase: "Total" })
      assert.include(reason.message, "25 s (callTimeout)")
    })
  )

  it.effect("keeps the delivery of what ended it", () =>
    Effect.gen(function* () {
      const peer: ScriptedPeer = new ScriptedPeer({ methods: { "tools/list": () => peer.last.drop() } })
      const connection = yield* McpConnection.make("memory", peer.source()).pipe(Effect.provide(Platform.none))
      assert.deepInclude(yield* reasonOf(connection.listTools), {
        _tag: "ConnectionLost",
        delivery: "OutcomeUnknown"
      })
      assert.deepInclude(yield* reasonOf(connection.listTools), { _tag: "ConnectionLost", delivery: "NotSent" })
    })
  )
})
