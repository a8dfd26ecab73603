/** Our connection on Node.js behind the same interface. What it should leave behind is for the leak check to find. */
import { type Limits, McpConnection, type McpError, ServerConfig, ServerSource } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Option, Stream } from "effect"
import {
  type CallOptions,
  commandOf,
  type Options,
  type Outcome,
  Refused,
  type Server,
  type Subject
} from "./Subject.ts"

const configOf = (server: Server, { closeTimeout, maxMessageBytes }: Options) => {
  const limits: Limits.ServerLimits = { closeTimeout, maxMessageBytes }
  switch (server._tag) {
    case "Stdio":
      return ServerConfig.stdio({ ...commandOf(server), ...limits })
    case "Http":
      return ServerConfig.http({ url: server.url, ...limits })
    case "Transport":
      return ServerSource.fromTransport("given", Effect.sync(server.make), limits)
  }
}

const failure = (cause: Cause.Cause<McpError.McpError>): Outcome => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const kind = error?.reason._tag ?? (Cause.hasInterruptsOnly(cause) ? "Interrupted" : "Died")
  return { _tag: "Failed", kind, message: String(Cause.squash(cause)) }
}

const span = (millis: number | undefined) => (millis === undefined ? undefined : Duration.millis(millis))

const callOptions = ({ idle, onProgress, total }: CallOptions) => ({
  idleTimeout: span(idle),
  timeout: span(total),
  onProgress: ({ progress }: { readonly progress: number }) => onProgress?.(progress)
})

const refused = Effect.mapError((error: McpError.McpError) => new Refused({ message: error.message }))

export const ours: Subject = {
  name: "ours",
  open: Effect.fnUntraced(function* (server, options = {}) {
    const scope = yield* Effect.scope
    const platform = yield* Layer.build(Layer.fresh(McpNode.layer))
    const connection = yield* McpConnection.make("it", configOf(server, options)).pipe(
      Effect.provideContext(platform),
      refused
    )
    let ended = false
    yield* Effect.forkScoped(
      Effect.map(connection.closed, () => {
        ended = true
      })
    )
    const { onToolsChanged } = options
    if (onToolsChanged !== undefined) {
      yield* Effect.forkScoped(
        Stream.runForEach(connection.notifications, ({ method }) =>
          Effect.sync(() => {
            if (method === "notifications/tools/list_changed") onToolsChanged()
          })
        )
      )
    }

    return {
      start: (tool, args, options = {}) =>
        Effect.map(
          Effect.forkIn(connection.callTool({ tool, arguments: args, ...callOptions(options) }), scope),
          (fiber) => ({
            outcome: Effect.map(
              Fiber.await(fiber),
              Exit.match({ onSuccess: ({ text }): Outcome => ({ _tag: "Answered", text }), onFailure: failure })
            ),
            cancel: Fiber.interrupt(fiber)
          })
        ),
      // It has no messages of its own but requests.
      send: (bytes) => Effect.ignore(connection.callTool({ tool: "large", arguments: { text: "x".repeat(bytes) } })),
      tools: refused(connection.listTools),
      hasEnded: () => ended,
      close: Effect.asVoid(connection.close)
    }
  })
}
