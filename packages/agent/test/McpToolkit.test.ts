import { assert, describe, it } from "@effect/vitest"
import { McpToolkit, ScriptedModel, type ToolPolicy } from "@scoped-mcp/agent"
import { Fault, FaultyServer, Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Effect, Fiber, Schema } from "effect"
import { LanguageModel } from "effect/ai"

const search = ScriptedServer.tool({
  name: "search",
  description: "Finds books by their words.",
  arguments: Schema.Struct({ query: Schema.String }),
  annotations: { readOnlyHint: true },
  handler: ({ query }) => Effect.succeed(`two books on ${query}`)
})
const fails = ScriptedServer.tool({
  name: "fails",
  handler: () => Effect.succeed({ isError: true, content: [{ type: "text", text: "no such shelf" }] })
})
const library = ScriptedServer.make({ name: "library", tools: [search, fails] })

/** A tool with a schema as it stands, mended by nobody. */
const withSchema = (name: string, inputSchema: unknown): ScriptedServer.Tool => {
  const tool = ScriptedServer.tool({ name, handler: () => Effect.succeed("ok") })
  return { ...tool, listing: { ...tool.listing, inputSchema } }
}

const many = (count: number) =>
  ScriptedServer.make({
    name: "many",
    tools: Array.from({ length: count }, (_, index) =>
      ScriptedServer.tool({
        name: `tool_${index}`,
        description:
          index === 7 ? "Converts money between currencies." : `Does the thing number ${index}, and does it well.`,
        arguments: Schema.Struct({ amount: Schema.Finite, note: Schema.String }),
        handler: ({ amount }) => Effect.succeed(`${index}: ${amount}`)
      })
    )
  })

describe("McpToolkit", () => {
  it.effect("is a toolkit for LanguageModel, whose handlers call through the pool in the context", () => {
    const model = ScriptedModel.make([
      { calls: [{ name: "library__search", arguments: { query: "whales" } }, { name: "library__fails" }] }
    ])
    return Effect.gen(function* () {
      const { toolkit } = yield* McpToolkit.make()
      const response = yield* LanguageModel.generateText({ prompt: "Go.", toolkit })
      assert.deepStrictEqual(
        response.toolResults.map(({ isFailure }) => isFailure),
        [false, true]
      )
      assert.deepInclude(response.toolResults[0]?.modelOutput?.[0], { type: "text", text: "two books on whales" })
      assert.deepStrictEqual(response.toolResults[1]?.result, {
        error: "ToolError",
        message: "no such shelf",
        mayHaveRun: false,
        tryAgain: "differently"
      })
    }).pipe(Effect.provide([model.layer, TestPool.layer({ servers: { library } })]))
  })

  it.effect("has the tools of chosen servers, and says which are missing and why", () =>
    Effect.gen(function* () {
      const making = yield* Effect.forkChild(
        McpToolkit.make({ servers: ["library", "dead", "unheard"], openTimeout: "3 seconds" })
      )
      yield* TestPool.adjust("5 seconds")
      const toolkit = yield* Fiber.join(making)
      assert.deepStrictEqual(toolkit.servers, ["library"])
      assert.deepStrictEqual(
        toolkit.definitions.map(({ name }) => name),
        ["library__fails", "library__search"]
      )
      const [dead, unheard] = toolkit.skipped
      assert.deepInclude(dead, { server: "dead", why: "its tools were not there within 3s" })
      assert.include(unheard?.why, "There is no server")
    }).pipe(
      Effect.provide(
        TestPool.layer({ servers: { library, other: library, dead: FaultyServer.make(library, [Fault.noHandshake]) } })
      )
    )
  )

  it.effect("mends what has one meaning in a schema, and leaves out a tool that models would refuse all for", () => {
    const deep = Array.from({ length: 40 }).reduce<unknown>((inner) => ({ type: "object", properties: { inner } }), {})
    const odd = ScriptedServer.make({
      name: "odd",
      tools: [
        withSchema("list", { $schema: "x", type: "object", properties: { all: { type: "array" } } }),
        withSchema("bare", { type: "object" }),
        withSchema("either", { type: "object", anyOf: [{ required: ["a"] }, { required: ["b"] }] }),
        withSchema("remote", { type: "object", properties: { a: { $ref: "https://example.com/a.json" } } }),
        withSchema("deep", deep),
        withSchema("large", { type: "object", description: "x".repeat(40_000) })
      ]
    })
    return Effect.gen(function* () {
      const { definitions, skipped } = yield* McpToolkit.make()
      assert.deepStrictEqual(
        definitions.map(({ inputSchema, name }) => [name, inputSchema]),
        [
          ["odd__bare", { type: "object", properties: {} }],
          ["odd__list", { type: "object", properties: { all: { type: "array", items: {} } } }]
        ]
      )
      assert.deepStrictEqual(
        skipped.map(({ tool = "" }) => tool).sort((one, other) => (one < other ? -1 : 1)),
        ["deep", "either", "large", "remote"]
      )
      for (const { why } of skipped) assert.match(why, /schema/)
    }).pipe(Effect.provide(TestPool.layer({ servers: { odd } })))
  })

  it.effect("names tools alike whatever else there is, long names and odd ones included", () => {
    const tools = ["a.b", "über", "x".repeat(80), "a__b"].map((name) => withSchema(name, { type: "object" }))
    const odd = ScriptedServer.make({ name: "odd", tools })
    return Effect.gen(function* () {
      const all = yield* McpToolkit.make()
      const alone = yield* McpToolkit.make({ servers: ["odd"] })
      const names = alone.definitions.map(({ name }) => name)
      assert.strictEqual(names.length, 4)
      for (const name of names) assert.match(name, /^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$/)
      assert.deepStrictEqual(
        all.tools.filter(({ server }) => server === "odd").map(({ name }) => name),
        names
      )
    }).pipe(Effect.provide(TestPool.layer({ servers: { library, odd } })))
  })

  it.effect("fills in the idempotency key that a tool asks for, and the model does not see it", () => {
    const pay = ScriptedServer.tool({
      name: "pay",
      arguments: Schema.Struct({ amount: Schema.Finite, idempotency_key: Schema.String }),
      handler: ({ amount, idempotency_key }) => Effect.succeed(`${amount} under ${idempotency_key}`)
    })
    const bank = ScriptedServer.make({ name: "bank", tools: [pay] })
    const records: Array<ToolPolicy.AuditRecord> = []
    const audit = (record: ToolPolicy.AuditRecord) => Effect.sync(() => void records.push(record))
    const faulty = FaultyServer.make(bank, [Fault.first(Fault.flapping({ calls: 0 }), 1)])
    return Effect.gen(function* () {
      const toolkit = yield* McpToolkit.make({ policy: { audit } })
      const { inputSchema } = toolkit.definitions[0]!
      assert.deepStrictEqual(Object.keys(inputSchema["properties"] as object), ["amount"])
      assert.deepStrictEqual(inputSchema["required"], ["amount"])
      const calling = yield* Effect.forkChild(toolkit.call({ name: "bank__pay", arguments: { amount: 5 } }))
      yield* TestPool.adjust("10 seconds")
      const { content } = yield* Fiber.join(calling)
      const [record] = records
      // Sent twice under one key: once it was lost on its way, and a key makes that safe.
      assert.deepInclude(content[0], { text: `5 under ${record?.idempotencyKey ?? ""}` })
      assert.strictEqual(record?.attempts, 2)
      const { journal } = yield* TestPool.server("bank")
      const entries = yield* journal.entries
      assert.strictEqual(Journal.executions(entries), 1)
      // And beside the arguments, for servers and gateways that look for it there.
      const sent = JSON.stringify(entries)
      assert.include(sent, `"scoped-mcp/idempotency-key":"${record?.idempotencyKey ?? ""}"`)
    }).pipe(Effect.provide(TestPool.layer({ servers: { bank: faulty } })))
  })
})

describe("lazy mode", () => {
  it.effect("costs a fraction of direct mode, which auto weighs; the figures are of both", () =>
    Effect.gen(function* () {
      const { definitions, mode, tokens, tools } = yield* McpToolkit.make()
      assert.strictEqual(mode, "lazy")
      assert.deepStrictEqual(
        definitions.map(({ name }) => name),
        ["search_tools", "describe_tool", "call_tool"]
      )
      assert.strictEqual(tools.length, 500)
      assert.isAbove(tokens.direct, 20_000)
      assert.isBelow(tokens.lazy, 500)
      const direct = yield* McpToolkit.make({ lazyAbove: 100_000 })
      assert.strictEqual(direct.mode, "direct")
      assert.deepStrictEqual(direct.tokens, tokens)
    }).pipe(Effect.provide(TestPool.layer({ servers: { many: many(500) } })))
  )

  it.effect("searches, describes and calls", () =>
    Effect.gen(function* () {
      const { call } = yield* McpToolkit.make({ mode: "lazy" })
      const text = (name: string, args: unknown) =>
        Effect.map(call({ name, arguments: args }), ({ content, failure }) =>
          failure === undefined
            ? content.map((part) => (part.type === "text" ? part.text : "")).join()
            : failure.message
        )
      assert.include(yield* text("search_tools", { query: "convert currency" }), '[{"name":"many__tool_7"')
      assert.include(yield* text("search_tools", { query: "zebra" }), "Nothing found")
      assert.include(yield* text("describe_tool", { name: "many__tool_7" }), '"amount"')
      const args = { amount: 3, note: "n" }
      assert.strictEqual(yield* text("call_tool", { name: "many__tool_7", arguments: args }), "7: 3")
      assert.strictEqual(yield* text("many__tool_7", args), "7: 3")
      assert.include(yield* text("call_tool", { name: "many__tool_x" }), "Did you mean")
      assert.include(yield* text("search_tools", {}), 'needs "query"')
    }).pipe(Effect.provide(TestPool.layer({ servers: { many: many(20) } })))
  )
})
