/**
 * A pool in an application on the `HttpRouter` of Effect 4: the pool's layer warms and closes. A program of Effect 4 all
 * through would take `McpPool` of `@scoped-mcp/core`; this is for routes beside the handle.
 */
import { createServer } from "node:http"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { openPool, type Pool, routes } from "@scoped-mcp/handle"
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { servers } from "../servers.ts"

class Servers extends Context.Service<Servers, Pool>()("Servers") {}

const ServersLive = Layer.effect(
  Servers,
  Effect.tap(
    Effect.acquireRelease(
      // `NodeRuntime.runMain` takes care of signals.
      Effect.promise(() => openPool({ servers }, { signals: "off" })),
      (pool) => Effect.promise(() => pool.close())
    ),
    (pool) => Effect.promise(() => pool.warmup())
  )
)

const Mcp = HttpRouter.add("*", "/mcp/*", ({ method, url }) =>
  Effect.gen(function* () {
    const answer = routes(yield* Servers)
    const response = yield* Effect.promise(() => answer({ method, url }))
    return response === undefined ? HttpServerResponse.empty({ status: 404 }) : HttpServerResponse.fromWeb(response)
  })
)

const Price = HttpRouter.add(
  "GET",
  "/price/:thing",
  Effect.gen(function* () {
    const pool = yield* Servers
    const { thing } = yield* HttpRouter.params
    const call = { server: "shop", tool: "price", arguments: { thing } }
    const { text } = yield* Effect.promise((signal) => pool.callTool({ ...call, signal }))
    return HttpServerResponse.text(text)
  })
)

const Address = Layer.effectDiscard(
  HttpServer.addressFormattedWith((address) => Effect.sync(() => process.stdout.write(`${address}\n`)))
)

Layer.merge(HttpRouter.serve(Layer.merge(Mcp, Price), { disableLogger: true }), Address).pipe(
  Layer.provide(ServersLive),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.launch,
  NodeRuntime.runMain
)
