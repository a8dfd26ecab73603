import { assert, it } from "@effect/vitest"
import { Agent, ScriptedModel, type ToolPolicy } from "@scoped-mcp/agent"
import { Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Effect, Layer, Schema } from "effect"

const search = ScriptedServer.tool({
  name: "search",
  arguments: Schema.Struct({ query: Schema.String }),
  handler: ({ query }) => Effect.succeed(`two books on ${query}`)
})
const library = ScriptedServer.make({ name: "library", tools: [search] })

it.effect("asks the model, makes the calls it wants, and answers", () =>
  Effect.gen(function* () {
    const model = ScriptedModel.make([
      { calls: [{ name: "library__search", arguments: { query: "whales" } }] },
      ({ results }) => `Found: ${results.map(({ text }) => text).join()}`
    ])
    const records: Array<ToolPolicy.AuditRecord> = []
    const policy: ToolPolicy.ToolPolicy = { audit: (record) => Effect.sync(() => void records.push(record)) }
    yield* Effect.gen(function* () {
      assert.strictEqual(yield* Agent.ask("What is there on whales?"), "Found: two books on whales")
      const { journal } = yield* TestPool.server("library")
      assert.strictEqual(Journal.executions(yield* journal.entries), 1)
    }).pipe(
      Effect.provide(Layer.provideMerge(Layer.provide(Agent.layer({ policy }), model.layer), TestPool.layer({ servers: { library } })))
    )
    assert.deepStrictEqual(records.map(({ outcome, tool }) => [tool, outcome]), [["search", "Answered"]])
    assert.deepStrictEqual(model.requests()[0]?.tools, ["library__search"])
  })
)
