import { assert, it } from "@effect/vitest"
import { McpPool } from "@scoped-mcp/core"
import { Fault, FaultyServer, Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Effect, Fiber, Schedule } from "effect"

// The agent under test: what was certainly not asked it asks again, what may have been asked it leaves to people.
const agent = Effect.fn("agent")(function* (query: string) {
  const pool = yield* McpPool.McpPool
  return yield* pool.callTool({ server: "library", tool: "search", arguments: { query } }).pipe(
    Effect.map((result) => result.text),
    Effect.retry({ schedule: Schedule.spaced("5 seconds"), while: (error) => error.delivery === "NotSent" }),
    Effect.catchReason("McpError", "ConnectionLost", () => Effect.succeed("unsure"))
  )
})

const search = ScriptedServer.tool({ name: "search", handler: () => Effect.succeed("two books") })
const library = ScriptedServer.make({ name: "library", tools: [search] })
const flapping = FaultyServer.make(library, [Fault.flapping({ calls: 2, down: "30 seconds" })])

it.effect("gets through its work on a server that comes and goes, and asks nothing twice", () =>
  Effect.gen(function* () {
    const work = yield* Effect.forkChild(Effect.forEach(["whales", "ships", "storms", "maps"], agent))
    yield* TestPool.adjust("1 minute")
    assert.deepStrictEqual(yield* Fiber.join(work), ["two books", "two books", "unsure", "two books"])
    const { journal } = yield* TestPool.server("library")
    assert.deepStrictEqual(Journal.repeated(yield* journal.entries), [])
  }).pipe(Effect.provide(TestPool.layer({ servers: { library: flapping } })))
)
