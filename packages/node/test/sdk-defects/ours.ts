/** Our connection on Node.js behind the same interface. What it should leave behind is for the leak check to find. */
import {
  Authorization,
  AuthorizationBrowser,
  HostHandlers,
  type Limits,
  McpConnection,
  type McpError,
  ServerConfig,
  ServerSource,
  TokenStore
} from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Cause, Context, Duration, Effect, Exit, Fiber, Layer, Option, Stream } from "effect"
import {
  type Auth,
  type CallOptions,
  commandOf,
  type Options,
  type Outcome,
  Refused,
  type Server,
  type Subject
} from "./Subject.ts"

const authorizationOf = (auth: Auth) =>
  auth._tag === "Person"
    ? Authorization.code()
    : Authorization.clientCredentials({ clientId: auth.id, clientSecret: auth.secret, issuer: auth.issuer })

/** Follows the page to where it sends a person who agrees. */
const browser = Context.make(AuthorizationBrowser.AuthorizationBrowser, {
  open: (url) => Effect.promise(async () => void (await (await fetch(url)).text()))
})

const configOf = (server: Server, { auth, closeTimeout, maxMessageBytes }: Options) => {
  const limits: Limits.ServerLimits = { closeTimeout, maxMessageBytes }
  switch (server._tag) {
    case "Stdio":
      return ServerConfig.stdio({ ...commandOf(server), ...limits })
    case "Http":
      return ServerConfig.http({
        url: server.url,
        ...limits,
        auth: auth === undefined ? undefined : authorizationOf(auth)
      })
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
    const { onQuestion, onToolsChanged } = options
    const platform = yield* Layer.build(Layer.fresh(McpNode.layer))
    const host =
      onQuestion === undefined
        ? Context.empty()
        : Context.make(HostHandlers.Elicitation, { form: () => Effect.promise(onQuestion) })
    // Otherwise tokens are kept in a file of the user.
    const memory = Context.make(TokenStore.TokenStore, yield* TokenStore.makeMemory)
    const connection = yield* McpConnection.make("it", configOf(server, options)).pipe(
      Effect.provideContext(Context.mergeAll(platform, host, memory, browser)),
      refused
    )
    let ended = false
    yield* Effect.forkScoped(
      Effect.map(connection.closed, () => {
        ended = true
      })
    )
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
