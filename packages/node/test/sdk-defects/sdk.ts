/** The plain SDK as its documentation has it: its own client over its own transports, with their defaults. */
import { Readable } from "node:stream"
import {
  type CallToolResult,
  Client,
  type ClientOptions,
  type OAuthClientProvider,
  SdkError,
  StreamableHTTPClientTransport,
  type Transport,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { Effect } from "effect"
import { alive } from "../system.ts"
import { Person, providerOf } from "./sdkAuth.ts"
import {
  type CallOptions,
  commandOf,
  type Options,
  type Outcome,
  Refused,
  type Server,
  type Subject
} from "./Subject.ts"

const transportTo = (
  server: Server,
  { maxMessageBytes, sdk }: Options,
  auth: OAuthClientProvider | undefined
): Transport => {
  switch (server._tag) {
    case "Stdio":
      return new StdioClientTransport({
        ...commandOf(server),
        ...(sdk?.stderr === undefined ? {} : { stderr: sdk.stderr }),
        ...(maxMessageBytes === undefined ? {} : { maxBufferSize: maxMessageBytes })
      })
    case "Http":
      return new StreamableHTTPClientTransport(server.url, auth === undefined ? {} : { authProvider: auth })
    case "Transport":
      return server.make()
  }
}

const failure = (error: unknown): Outcome => ({
  _tag: "Failed",
  kind: error instanceof SdkError ? error.code : error instanceof Error ? error.name : typeof error,
  message: String(error)
})

const requestOptions = ({ idle, onProgress, total }: CallOptions) => ({
  ...(idle === undefined ? {} : { timeout: idle }),
  ...(total === undefined ? {} : { maxTotalTimeout: total }),
  ...(onProgress === undefined
    ? {}
    : {
        resetTimeoutOnProgress: true,
        onprogress: ({ progress }: { readonly progress: number }) => onProgress(progress)
      })
})

const answered = ({ content }: CallToolResult): Outcome => ({
  _tag: "Answered",
  text: content.map((block) => (block.type === "text" ? block.text : "")).join("\n")
})

const refused = (error: unknown) => new Refused({ message: String(error) })

/** The SDK leaves things behind, and a test must not: what it has started is ended here, and then its client closed. */
const clearUp = Effect.fnUntraced(function* (server: Server, client: Client, transport: Transport) {
  if (server._tag === "Stdio") {
    for (const { pid } of yield* alive(server.tag)) yield* Effect.ignore(Effect.try(() => process.kill(pid, "SIGKILL")))
  }
  // What nobody has read of it keeps its pipe open.
  if (transport instanceof StdioClientTransport && transport.stderr instanceof Readable) transport.stderr.resume()
  yield* Effect.ignore(
    Effect.timeout(
      Effect.tryPromise(() => client.close()),
      "5 seconds"
    )
  )
})

export const sdk: Subject = {
  name: "sdk",
  open: Effect.fnUntraced(function* (server, options = {}) {
    const { onQuestion, onToolsChanged, sdk } = options
    const listChanged: ClientOptions =
      onToolsChanged === undefined ? {} : { listChanged: { tools: { onChanged: onToolsChanged } } }
    const client = new Client({ name: "plain", version: "1.0.0" }, { ...listChanged, ...sdk?.client })
    if (onQuestion !== undefined) {
      client.registerCapabilities({ elicitation: { form: {} } })
      client.setRequestHandler("elicitation/create", onQuestion)
    }
    const auth = options.auth === undefined ? undefined : providerOf(options.auth)
    const transport = transportTo(server, options, auth)
    let ended = false
    client.onclose = () => {
      ended = true
    }
    yield* Effect.addFinalizer(() => clearUp(server, client, transport))
    yield* Effect.tryPromise({ try: (signal) => client.connect(transport, { signal }), catch: refused })

    return {
      start: (tool, args = {}, options = {}) =>
        Effect.sync(() => {
          const caller = new AbortController()
          const call = () =>
            client.callTool({ name: tool, arguments: args }, { signal: caller.signal, ...requestOptions(options) })
          const outcome = call()
            .catch(async (error: unknown) => {
              if (!(error instanceof UnauthorizedError && auth instanceof Person)) throw error
              // The person has agreed meanwhile.
              if (transport instanceof StreamableHTTPClientTransport) await transport.finishAuth(auth.sentBack)
              return call()
            })
            .then(answered, failure)
          return { outcome: Effect.promise(() => outcome), cancel: Effect.sync(() => caller.abort()) }
        }),
      send: (bytes) =>
        Effect.ignore(
          Effect.tryPromise(() =>
            client.notification({ method: "notifications/large", params: { text: "x".repeat(bytes) } })
          )
        ),
      tools: Effect.tryPromise({ try: async () => (await client.listTools()).tools, catch: refused }),
      hasEnded: () => ended,
      close: Effect.promise(async () => {
        if (sdk?.endsSession === true && transport instanceof StreamableHTTPClientTransport) {
          await transport.terminateSession()
        }
        await client.close()
      })
    }
  })
}
