import { assert, it } from "@effect/vitest"
import type { ServerContext, ToolDefinitions } from "@scoped-mcp/agent"
import { Agent, type AgentError, McpToolkit, ScriptedModel } from "@scoped-mcp/agent"
import type { McpPool } from "@scoped-mcp/core"
import { TestPool } from "@scoped-mcp/testing"
import { Effect, type Layer, type Scope } from "effect"
import { LanguageModel } from "effect/ai"

/** Does not compile unless both are the same. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
const same = <A, B>(...proof: Same<A, B> extends true ? [] : [never]) => proof

type Needs<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
type LayerNeeds<T> = T extends Layer.Layer<infer _A, infer _E, infer R> ? R : never
/** Whether a pool is anywhere in the parameters of a function. */
type TakesPool<F extends (...args: never) => unknown> = {
  [K in keyof Parameters<F>]: Parameters<F>[K] extends McpPool.McpPoolService ? true : false
}[number] extends false
  ? false
  : true

const model = ScriptedModel.make(["ok"])
const pool = TestPool.layer({ servers: {} })

// An agent needs the pool and the model, and finds both in the context.
same<Needs<ReturnType<typeof Agent.make>>, McpPool.McpPool | LanguageModel.LanguageModel | Scope.Scope>()
same<LayerNeeds<ReturnType<typeof Agent.layer>>, McpPool.McpPool | LanguageModel.LanguageModel>()
same<Needs<ReturnType<typeof McpToolkit.make>>, McpPool.McpPool>()
same<Needs<ReturnType<typeof ToolDefinitions.dispatch>>, McpPool.McpPool>()
same<Needs<ReturnType<typeof ServerContext.prompt>>, McpPool.McpPool>()
same<Needs<ReturnType<typeof ServerContext.resource>>, McpPool.McpPool>()
same<ReturnType<typeof Agent.ask>, Effect.Effect<string, AgentError.AgentError, Agent.Agent>>()

// A request with a toolkit needs the pool, because its handlers do.
const request = Effect.gen(function* () {
  const { toolkit } = yield* McpToolkit.make()
  return yield* LanguageModel.generateText({ prompt: "Hello.", toolkit })
})
same<Needs<typeof request>, McpPool.McpPool | LanguageModel.LanguageModel>()

// No API takes a pool.
same<TakesPool<typeof Agent.make>, false>()
same<TakesPool<typeof Agent.layer>, false>()
same<TakesPool<typeof Agent.ask>, false>()
same<TakesPool<typeof McpToolkit.make>, false>()
same<TakesPool<typeof ToolDefinitions.dispatch>, false>()
same<TakesPool<typeof ServerContext.resource>, false>()

const run = <A, E>(effect: Effect.Effect<A, E>) => effect

it.effect("an agent runs with its pool, and does not compile without", () =>
  Effect.gen(function* () {
    const asked = Agent.ask("Hello.").pipe(Effect.provide(Agent.layer()), Effect.provide(model.layer))
    // @ts-expect-error the pool is missing
    const missing = () => run(asked)
    assert.isFunction(missing)
    assert.strictEqual(yield* run(Effect.provide(asked, pool)), "ok")
  })
)

it.effect("a request with a toolkit does not compile without the pool", () =>
  Effect.sync(() => {
    // @ts-expect-error the pool is missing
    const missing = () => run(Effect.provide(request, model.layer))
    assert.isFunction(missing)
  })
)
