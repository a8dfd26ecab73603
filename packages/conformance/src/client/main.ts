/** The client under test. The suite starts it once for each scenario; it exits with 1 when the scenario's play fails. */
import { McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { Effect, Layer } from "effect"
import { fromProcess, Given } from "./Given.ts"
import { authorised, plays, server } from "./plays.ts"

const program = Effect.gen(function* () {
  const given = yield* fromProcess
  const { scenario, url } = given
  const play = scenario.startsWith("auth/") ? authorised : yield* Effect.fromNullishOr(plays[scenario])
  const pool = McpPool.layer({ servers: { [server]: ServerConfig.http({ url }) } })
  yield* play.pipe(Effect.provide(Layer.provideMerge(Layer.succeed(Given, given), pool)), Effect.scoped)
})

runMain(Effect.provide(program, McpNode.layer))
