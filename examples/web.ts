/**
 * For web frameworks and serverless functions, which call a function per request and know nothing of Effect: one
 * `ManagedRuntime` for the process, made outside of the requests, whose pools outlive them all. Whatever speaks the web's
 * `Request` and `Response` can mount `fetch`.
 */
import { McpNamespaces, McpPool, type ServerSource } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Effect, Layer, ManagedRuntime } from "effect"

const answer = (request: Request) =>
  Effect.gen(function* () {
    const [, tenant = "", server = "", tool = ""] = new URL(request.url).pathname.split("/")
    const call = Effect.gen(function* () {
      const pool = yield* McpPool.McpPool
      const { text } = yield* pool.callTool({ server, tool })
      return new Response(text)
    })
    return yield* Effect.provide(call, McpNamespaces.get(tenant))
  }).pipe(
    Effect.catchReason("McpError", "Overloaded", ({ message }) =>
      Effect.succeed(new Response(message, { status: 503 }))
    ),
    Effect.catchTag("McpError", ({ message }) => Effect.succeed(new Response(message, { status: 502 })))
  )

export const makeApp = (servers: Readonly<Record<string, ServerSource.Server>>) => {
  // Nothing is opened here: the first request of a tenant makes its pool.
  const runtime = ManagedRuntime.make(Layer.provide(McpNamespaces.layer({ servers }), McpNode.layer))
  return {
    /** A client that goes away cancels the call on the server. */
    fetch: (request: Request): Promise<Response> => runtime.runPromise(answer(request), { signal: request.signal }),
    /** On shutdown: closes every connection of every tenant. */
    close: (): Promise<void> => runtime.dispose()
  }
}
