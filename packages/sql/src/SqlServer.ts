/**
 * An MCP server over the `SqlDatabase` in the context, on stdio or on Streamable
 * HTTP. Both speak the 2025-11-25 and the 2026-07-28 protocol.
 *
 * @since 0.1.0
 */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import {
  createMcpHandler,
  hostHeaderValidationResponse,
  localhostAllowedHostnames,
  originValidationResponse,
  ProtocolError,
  ProtocolErrorCode,
  Server
} from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { packageVersion } from "./internal/packageVersion.ts"
import type { SqlDatabase } from "./SqlDatabase.ts"
import * as SqlTools from "./SqlTools.ts"

/**
 * A factory of SDK servers, as `serveStdio` and `createMcpHandler` take it. Calls
 * belong to the scope: closing it stops their queries.
 *
 * @since 0.1.0
 */
export const make: Effect.Effect<() => Server, never, SqlDatabase | Scope.Scope> = Effect.gen(function* () {
  const tools = new Map((yield* SqlTools.make).map((tool) => [tool.definition.name, tool]))
  const run = yield* FiberSet.makeRuntimePromise()
  return () => {
    const server = new Server({ name: "scoped-mcp-sql", version: packageVersion }, { capabilities: { tools: {} } })
    server.setRequestHandler("tools/list", () => ({ tools: Array.from(tools.values(), (tool) => tool.definition) }))
    server.setRequestHandler("tools/call", ({ params }, { mcpReq }) => {
      const tool = tools.get(params.name)
      if (tool === undefined) {
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no tool "${params.name}".`)
      }
      return run(tool.call(params.arguments ?? {}), { signal: mcpReq.signal })
    })
    return server
  }
})

/**
 * Serves one client on stdin and stdout until it closes stdin. Nothing else may
 * write to stdout: send logs to stderr (`Logger.LogToStderr`).
 *
 * @since 0.1.0
 */
export const runStdio: Effect.Effect<void, never, SqlDatabase> = Effect.scoped(
  Effect.gen(function* () {
    const factory = yield* make
    yield* Effect.acquireRelease(
      Effect.sync(() => serveStdio(factory)),
      (handle) => Effect.promise(() => handle.close())
    )
    yield* stdinClosed
  })
)

const stdinClosed = Effect.callback<void>((resume) => {
  const onClose = () => resume(Effect.void)
  process.stdin.once("end", onClose).once("close", onClose)
  return Effect.sync(() => process.stdin.off("end", onClose).off("close", onClose))
})

/**
 * Where `layerHttp` listens, and whom it answers.
 *
 * @since 0.1.0
 */
export interface HttpOptions {
  /** 0 takes a free port, which is logged. */
  readonly port: number
  /** Address to listen on. Default `127.0.0.1`: the server asks for no password. */
  readonly host?: string | undefined
  /** Names accepted in the `Host` and `Origin` headers besides the loopback names and `host`. Default none. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
}

/**
 * Serves `/mcp` over Streamable HTTP while the layer lives. A request whose `Host`
 * or `Origin` is not allowed gets 403, a body over 1 MiB gets 413.
 *
 * @since 0.1.0
 */
export const layerHttp = (options: HttpOptions): Layer.Layer<never, HttpServerError.ServeError, SqlDatabase> => {
  const host = options.host ?? "127.0.0.1"
  const hostnames = [...localhostAllowedHostnames(), host, ...(options.allowedHosts ?? [])]
  const route = HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const factory = yield* make
      const handler = yield* Effect.acquireRelease(
        Effect.sync(() => createMcpHandler(factory, { maxRequestBodySize: 1024 * 1024 })),
        (handler) => Effect.promise(() => handler.close())
      )
      yield* router.add(
        "*",
        "/mcp",
        Effect.fnUntraced(function* (incoming) {
          const request = yield* HttpServerRequest.toWeb(incoming)
          const rejected =
            hostHeaderValidationResponse(request, hostnames) ?? originValidationResponse(request, hostnames)
          const response = yield* Effect.promise(
            async (signal) => rejected ?? handler.fetch(new Request(request, { signal }))
          )
          return HttpServerResponse.fromWeb(response)
        })
      )
    })
  )
  return HttpRouter.serve(route, { disableLogger: true }).pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { port: options.port, host, gracefulShutdownTimeout: "1 second" }))
  )
}
