/** The client under test. The suite starts it once for each scenario; it exits with 1 when the scenario's play fails. */
import { McpPool, ServerConfig, TokenStore } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { credentials, person } from "./credentials.ts"
import { fromProcess, Given } from "./Given.ts"
import { handlers } from "./handlers.ts"
import { authorised, plays, server } from "./plays.ts"

const program = Effect.gen(function* () {
  const given = yield* fromProcess
  const { scenario, url } = given
  const needsAuth = scenario.startsWith("auth/")
  const play = needsAuth ? authorised : yield* Effect.fromNullishOr(plays[scenario])
  const auth = needsAuth ? yield* Effect.provideService(credentials(scenario), Given, given) : undefined
  const pool = McpPool.layer({ servers: { [server]: ServerConfig.http({ url, auth }) } })
  // Nothing of one scenario is known to the next.
  const host = Layer.mergeAll(handlers, person, TokenStore.layerMemory)
  yield* play.pipe(Effect.provide(Layer.provide(pool, host)), Effect.provideService(Given, given), Effect.scoped)
})

runMain(Effect.provide(program, McpNode.layer))
