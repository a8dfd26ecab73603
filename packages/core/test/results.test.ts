import { assert, describe, it } from "@effect/vitest"
import { McpConnection, type McpError } from "@scoped-mcp/core"
import { Context, Effect, Schema, Tracer } from "effect"
import * as Platform from "./support/platform.ts"
import { ScriptedPeer, type Tool } from "./support/ScriptedPeer.ts"

const open = (peer: ScriptedPeer) => McpConnection.make("memory", peer.source()).pipe(Effect.provide(Platform.none))

const reasonOf = <A>(effect: Effect.Effect<A, McpError.McpError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const structured =
  (structuredContent: unknown, isError = false): Tool =>
  (call) =>
    call.reply({ content: [], structuredContent, isError })

/** A server whose tool declares what it answers. */
const declaring = (outputSchema: () => unknown, tool: Tool) =>
  new ScriptedPeer({
    tools: { tool },
    methods: { "tools/list": () => ({ tools: [{ name: "tool", inputSchema: {}, outputSchema: outputSchema() }] }) }
  })

const count = { type: "object", properties: { count: { type: "integer" } }, required: ["count"] }

describe("the result of a tool", () => {
  it.effect("has to be as its tool declares, once that is known", () =>
    Effect.gen(function* () {
      const answers = [{ count: "7" }, { count: "7" }, undefined, { count: 7 }]
      let next = 0
      const peer = declaring(
        () => count,
        (call) => structured(answers[next++])(call)
      )
      const connection = yield* open(peer)
      yield* connection.callTool({ tool: "tool" })
      yield* connection.listTools
      const wrong = yield* reasonOf(connection.callTool({ tool: "tool" }))
      assert.deepInclude(wrong, { _tag: "InvalidResult", delivery: "Answered" })
      assert.include(wrong.message, "#/count")
      const missing = yield* reasonOf(connection.callTool({ tool: "tool" }))
      assert.include(missing.message, "no structured content")
      const result = yield* connection.callTool({ tool: "tool" })
      assert.deepStrictEqual(result.structuredContent, { count: 7 })
    })
  )

  it.effect("is measured by the last list, also where two schemas have one name", () =>
    Effect.gen(function* () {
      let type = "integer"
      const peer = declaring(
        () => ({ ...count, $id: "https://example.com/count", properties: { count: { type } } }),
        structured({ count: "7" })
      )
      const connection = yield* open(peer)
      yield* connection.listTools
      assert.strictEqual((yield* reasonOf(connection.callTool({ tool: "tool" })))._tag, "InvalidResult")
      type = "string"
      yield* connection.listTools
      yield* connection.callTool({ tool: "tool" })
    })
  )

  it.effect("is let through and counted where its schema cannot be used", () =>
    Effect.gen(function* () {
      const connection = yield* open(
        declaring(() => ({ $ref: "https://example.com/schema.json" }), structured({ count: 7 }))
      )
      yield* connection.listTools
      yield* connection.callTool({ tool: "tool" })
      assert.deepInclude(yield* connection.diagnostics, { unchecked: 1 })
    })
  )

  it.effect("that reports a failure is a failure of the tool, whatever it declares", () =>
    Effect.gen(function* () {
      const connection = yield* open(declaring(() => count, structured(undefined, true)))
      yield* connection.listTools
      assert.strictEqual((yield* reasonOf(connection.callTool({ tool: "tool" })))._tag, "ToolError")
    })
  )

  it.effect("is read with the caller's schema", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ count: Schema.Int, at: Schema.DateFromString })
      const peer = new ScriptedPeer({
        tools: {
          good: structured({ count: 7, at: "2026-11-21T00:00:00.000Z" }),
          text: (call) => call.text('{"count":8,"at":"2026-11-21T00:00:00.000Z"}'),
          bad: structured({ count: "7" })
        }
      })
      const connection = yield* open(peer)
      const good = yield* connection.callTool({ tool: "good", schema })
      assert.deepStrictEqual(good.value, { count: 7, at: new Date("2026-11-21") })
      assert.strictEqual(good.tool, "good")
      assert.strictEqual((yield* connection.callTool({ tool: "text", schema })).value.count, 8)
      const bad = yield* reasonOf(connection.callTool({ tool: "bad", schema }))
      assert.deepInclude(bad, { _tag: "InvalidResult", delivery: "Answered" })
      assert.include(bad.message, "count")
    })
  )

  it.effect("keeps content of every kind", () =>
    Effect.gen(function* () {
      const content = [
        { type: "text", text: "a", annotations: { audience: ["user"] } },
        { type: "image", data: "aGk=", mimeType: "image/png" },
        { type: "audio", data: "aGk=", mimeType: "audio/wav" },
        { type: "resource_link", uri: "a:b", name: "b" },
        { type: "resource", resource: { uri: "a:b", blob: "aGk=" } }
      ]
      const connection = yield* open(new ScriptedPeer({ tools: { all: (call) => call.reply({ content }) } }))
      assert.deepStrictEqual((yield* connection.callTool({ tool: "all" })).raw["content"], content)
    })
  )

  it.effect("may be data of any kind in the 2026 era", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ modern: true, tools: { list: structured([1, 2]), nothing: structured(null) } })
      const connection = yield* open(peer)
      const numbers = yield* connection.callTool({ tool: "list", schema: Schema.Array(Schema.Int) })
      assert.deepStrictEqual(numbers.value, [1, 2])
      assert.deepStrictEqual(numbers.structuredContent, [1, 2])
      assert.isNull((yield* connection.callTool({ tool: "nothing", schema: Schema.Null })).value)
    })
  )
})

describe("arguments", () => {
  const circle: Record<string, unknown> = { name: "circle" }
  circle["self"] = { circle }

  it.effect.each([
    ["a BigInt", { a: { b: [1n] } }, 'the argument "a.b.0" is a BigInt'],
    ["a circle", { a: circle }, 'the argument "a.self.circle" is one of the objects that it is part of'],
    ["what fails when it is written", { toJSON: () => assert.fail("no luck") }, "no luck"]
  ] as const)("that are %s are refused by name, and nothing is sent", ([, args, detail]) =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      const reason = yield* reasonOf(connection.callTool({ tool: "echo", arguments: args }))
      assert.deepInclude(reason, { _tag: "InvalidArguments", request: "tools/call", delivery: "NotSent" })
      assert.include(reason.message, detail)
      assert.strictEqual(peer.ran("echo"), 0)
      yield* connection.callTool({ tool: "echo" })
      assert.deepInclude(yield* connection.diagnostics, { pending: 0 })
    })
  )
})

describe("a trace", () => {
  const ids = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }
  const sentWith = (decorate: <A, E>(call: Effect.Effect<A, E>) => Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* open(peer)
      yield* decorate(connection.callTool({ tool: "echo" }))
      const { progressToken: _, ...meta } = peer.sent("tools/call")[0]!.params!["_meta"] as Record<string, unknown>
      return meta
    })

  it.effect("goes with a request whose caller has a span, and with no other", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sentWith((call) => call), {})
      const span = Tracer.externalSpan({ ...ids, sampled: true })
      assert.deepStrictEqual(yield* sentWith(Effect.withParentSpan(span)), {
        traceparent: `00-${ids.traceId}-${ids.spanId}-01`
      })
      const own = yield* sentWith(Effect.withSpan("call"))
      assert.match(String(own["traceparent"]), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    })
  )

  it.effect("has the state that the span, or else the caller, has of it, if it is one", () =>
    Effect.gen(function* () {
      const state = McpConnection.TraceState
      const annotated = Tracer.externalSpan({ ...ids, sampled: false, annotations: Context.make(state, "a=1") })
      assert.deepStrictEqual(yield* sentWith(Effect.withParentSpan(annotated)), {
        traceparent: `00-${ids.traceId}-${ids.spanId}-00`,
        tracestate: "a=1"
      })
      const given = (value: string) =>
        sentWith((call) =>
          call.pipe(Effect.withParentSpan(Tracer.externalSpan(ids)), Effect.provideService(state, value))
        )
      assert.deepInclude(yield* given("b=2"), { tracestate: "b=2" })
      assert.notProperty(yield* given("b=2\r\n"), "tracestate")
      assert.deepStrictEqual(yield* sentWith(Effect.provideService(state, "c=3")), {})
    })
  )

  it.effect("of ids that are none is not passed on", () =>
    Effect.gen(function* () {
      const span = Tracer.externalSpan({ traceId: "trace-1", spanId: "span-1" })
      assert.deepStrictEqual(yield* sentWith(Effect.withParentSpan(span)), {})
    })
  )
})
