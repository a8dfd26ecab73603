import { assert, it } from "@effect/vitest"
import { McpPool } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Recording, ScriptedServer } from "@scoped-mcp/testing"
import { Effect, Schema } from "effect"

const add = ScriptedServer.tool({
  name: "add",
  arguments: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
  handler: ({ a, b }) => Effect.succeed(String(a + b))
})
const program = (b: number) =>
  Effect.flatMap(McpPool.McpPool, (pool) => pool.callTool({ server: "calc", tool: "add", arguments: { a: 1, b } }))

it.live("answers from a recording what it answered before, and nothing else", () =>
  Effect.gen(function* () {
    const { config } = yield* ScriptedServer.http(ScriptedServer.make({ name: "calc", tools: [add] }))
    const recorder = yield* Recording.recordServer("calc", config)
    yield* program(2).pipe(Effect.provide(McpPool.layer({ servers: { calc: recorder.source } })))
    const file = Recording.toText(yield* recorder.recording) // JSON lines, to be kept beside the test

    const calc = Recording.replay(yield* Recording.fromText(file))
    const replayed = McpPool.layer({ servers: { calc } })
    assert.strictEqual((yield* Effect.provide(program(2), replayed)).text, "3")
    const error = yield* Effect.flip(Effect.provide(program(3), replayed))
    assert.include(error.message, "was not recorded; the nearest that was is")
  }).pipe(Effect.provide(McpNode.layer))
)
