import { assert, it } from "@effect/vitest"
import { McpPool } from "@scoped-mcp/core"
import { Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Clock, Effect, Fiber } from "effect"
import { lend, outcome } from "./support/calls.ts"
import library from "./support/library.ts"

const layer = TestPool.layer({ servers: { library, archive: library }, limits: { maxConcurrency: 1 } })

it.effect("gives each name a server of its own, and each build of the layer new ones", () =>
  Effect.gen(function* () {
    const executions = Effect.gen(function* () {
      yield* lend("Emma")
      const counted = yield* Effect.forEach(["library", "archive"], TestPool.server)
      return yield* Effect.forEach(counted, ({ journal }) =>
        Effect.map(journal.entries, (entries) => Journal.executions(entries))
      )
    })
    for (let i = 0; i < 2; i++) {
      assert.deepStrictEqual(yield* Effect.provide(executions, layer, { local: true }), [1, 0])
    }
  })
)

it.effect("has no server that the test has not given", () =>
  Effect.gen(function* () {
    assert.include(String(yield* Effect.exit(TestPool.server("attic"))), "attic")
  }).pipe(Effect.provide(layer))
)

it.effect("tells its servers' notifications", () =>
  Effect.gen(function* () {
    yield* lend("Emma")
    const { journal, notify } = yield* TestPool.server("library")
    yield* notify("notifications/message", { level: "info", data: "closing soon" })
    assert.include(JSON.stringify(yield* journal.entries), "closing soon")
  }).pipe(Effect.provide(layer))
)

it.effect("moves time by as much as it is told, and not before what is due has been done", () =>
  Effect.gen(function* () {
    const slow = ScriptedServer.tool({ name: "slow", handler: () => Effect.as(Effect.sleep("10 seconds"), "done") })
    const definition = ScriptedServer.make({ name: "library", tools: [slow] })
    yield* Effect.gen(function* () {
      const { callTool } = yield* McpPool.McpPool
      const calls = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], () =>
          Effect.andThen(outcome(callTool({ server: "library", tool: "slow" })), Clock.currentTimeMillis)
        )
      )
      yield* TestPool.adjust("1 minute")
      assert.strictEqual(yield* Clock.currentTimeMillis, 60_000)
      assert.deepStrictEqual(yield* Fiber.join(calls), [10_000, 20_000, 30_000])
    }).pipe(Effect.provide(TestPool.layer({ servers: { library: definition } })))
  })
)
