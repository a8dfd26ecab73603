import type { ScriptedModel } from "@scoped-mcp/agent"
import { Agent } from "@scoped-mcp/agent"
import { TestPool } from "@scoped-mcp/testing"
import { Layer } from "effect"

/** An agent over servers in memory and a model that follows a script. */
export const agent = (
  model: ScriptedModel.ScriptedModel,
  servers: TestPool.Options["servers"],
  options: Agent.Options = {},
  pool: Omit<TestPool.Options, "servers"> = {}
) => Layer.provideMerge(Layer.provide(Agent.layer(options), model.layer), TestPool.layer({ servers, ...pool }))

export const call = (name: string, args: Readonly<Record<string, unknown>> = {}): ScriptedModel.Step => ({
  calls: [{ name, arguments: args }]
})
