// In a project on Effect 3: its own copy stays the only one that can be imported.
import assert from "node:assert/strict"
import { openPool } from "@scoped-mcp/handle"

const server = { command: process.execPath, args: [process.argv[2]] }
// `Either` is a module that Effect 4 does not have.
const { Effect, Either, Schema } = await import("effect")
const program = Effect.acquireUseRelease(
  Effect.promise(() => openPool({ servers: { one: server } })),
  (pool) => Effect.promise(() => pool.callTool({ server: "one", tool: "structured", arguments: { a: 1, b: 2 } })),
  (pool) => Effect.promise(() => pool.close())
)
const result = await Effect.runPromise(program)
const sum = Schema.decodeUnknownEither(Schema.Struct({ sum: Schema.Number }))(result.structuredContent)
assert.ok(Either.isRight(sum) && sum.right.sum === 3)
