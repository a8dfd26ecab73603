import { assert, describe, it } from "@effect/vitest"
import { Agent, ScriptedModel } from "@scoped-mcp/agent"
import { McpPool } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Fault, FaultyServer, Journal, ScriptedServer } from "@scoped-mcp/testing"
import { Effect, Layer } from "effect"
import { call } from "./support/agents.ts"

const dump = ScriptedServer.tool({ name: "dump", handler: () => Effect.succeed("dumped") })
const shop = ScriptedServer.make({ name: "shop", tools: [dump] })

const results = ({ results }: ScriptedModel.Request) => results.map(({ text }) => text).join("\n")

/** A turn that calls the tool of a server over real HTTP once, and tells what the model got. */
const dumped = (faults: ReadonlyArray<Fault.Http>) =>
  Effect.gen(function* () {
    const { config, journal } = yield* FaultyServer.http(FaultyServer.make(shop, faults))
    const model = ScriptedModel.make([call("shop__dump"), results])
    const servers = Layer.provide(McpPool.layer({ servers: { shop: config } }), McpNode.layer)
    const answer = yield* Effect.provide(
      Agent.ask("Dump it."),
      Layer.provide(Agent.layer(), Layer.merge(model.layer, servers))
    )
    return { answer, runs: Journal.executions(yield* journal.entries) }
  })

describe("over real sockets, a turn whose server", () => {
  it.live("answers with 20 MB tells the model that it is too large, and ends", () =>
    Effect.gen(function* () {
      const { answer, runs } = yield* dumped([Fault.hugeAnswers(20 * 1024 * 1024)])
      assert.include(answer, '"error":"MessageTooLarge"')
      assert.include(answer, '"tryAgain":"differently"')
      assert.strictEqual(runs, 1)
    })
  )

  it.live("breaks off after the tool ran tells the model that it may have run, and does not call again", () =>
    Effect.gen(function* () {
      const { answer, runs } = yield* dumped([Fault.halfAnswers])
      assert.include(answer, '"mayHaveRun":true,"tryAgain":"afterChecking"')
      assert.strictEqual(runs, 1)
    })
  )
})
