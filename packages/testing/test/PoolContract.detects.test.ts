import { assert, it } from "@effect/vitest"
import { McpPool } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { PoolContract } from "@scoped-mcp/testing"
import { Context, Effect, Layer } from "effect"
import * as subjects from "./support/subjects.ts"

/** What each case says about such a pool, without those that it passes. */
const complaints = (pool: NonNullable<PoolContract.Subject["pool"]>) =>
  Effect.map(
    Effect.forEach(PoolContract.cases, (each) =>
      Effect.match(PoolContract.check(each, { ...subjects.inMemory, pool }), {
        onFailure: (error) => [`${each.name}: ${error.message}`],
        onSuccess: () => []
      })
    ),
    (found) => found.flat()
  ).pipe(Effect.provide(McpNode.layer))

it.live("a pool that repeats lost calls is found out", () =>
  Effect.gen(function* () {
    const found = yield* complaints((options) =>
      Layer.effect(
        McpPool.McpPool,
        Effect.map(McpPool.McpPool, (pool) => ({
          ...pool,
          callTool: (call) => Effect.retry(pool.callTool(call), { times: 1 })
        }))
      ).pipe(Layer.provide(McpPool.layer(options)))
    )
    assert.include(found.join("\n"), "does not repeat it")
  })
)

it.live("a pool that leaves its sessions open is found out by every case but the one that closes it", () =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const found = yield* complaints((options) =>
      Layer.effect(
        McpPool.McpPool,
        Effect.map(Layer.buildWithScope(McpPool.layer(options), outer), Context.get(McpPool.McpPool))
      )
    )
    assert.strictEqual(found.filter((text) => text.includes("outlive the pool")).length, PoolContract.cases.length - 1)
  })
)
