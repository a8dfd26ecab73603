/** The MCP SDK's client at its edge: the handshake of either era, and the requests of the server. Calls, lists and
 * notifications do not pass through it. */
import {
  Client,
  type DiscoverResult,
  type Implementation,
  ProtocolError as SdkProtocolError,
  SdkHttpError,
  type ServerCapabilities,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { AuthorizationFailed, AuthRequired, McpError } from "../McpError.ts"
import type { Wire } from "../Wire.ts"
import type * as Host from "./Host.ts"
import { version } from "./version.ts"

/** Deadlines are ours and stand outside; the SDK's own is the longest that a timer can have. */
const noTimeout = 2_147_483_647

export const clientInfo: Implementation = { name: "scoped-mcp", version }

export interface Session {
  readonly protocolVersion: string
  readonly serverInfo: Implementation | undefined
  readonly capabilities: ServerCapabilities
  readonly instructions: string | undefined
}

/** What failed in the handshake; an `AuthRequired` keeps its own reason. */
export interface HandshakeFailure {
  readonly detail: string
  readonly auth: AuthRequired | AuthorizationFailed | undefined
  /** The server said that it does not know the old handshake. */
  readonly modernOnly: boolean
}

/** How handlers are run: in the scope of the connection, in its context. */
export type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

const unsupportedVersion = -32_022
const methodNotFound = -32_601

const causeText = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  // Node's fetch says "fetch failed" and keeps the reason one level down.
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message
}

const authRequired = (server: string, cause: unknown): AuthRequired | AuthorizationFailed | undefined => {
  // The wire knows more of it than the SDK's error can say.
  const said = cause instanceof Error && cause.cause instanceof McpError ? cause.cause.reason : undefined
  if (said instanceof AuthRequired || said instanceof AuthorizationFailed) return said
  const status = cause instanceof SdkHttpError ? cause.status : undefined
  if (cause instanceof UnauthorizedError || status === 401) return new AuthRequired({ server, status: 401 })
  return status === 403 ? new AuthRequired({ server, status }) : undefined
}

/** The outcome of an effect as a promise that never rejects with anything but an error of ours. */
const settled = <A>(run: Run, effect: Effect.Effect<A, Host.Failure>, signal: AbortSignal): Promise<A> =>
  new Promise((resolve, reject) => {
    const fiber = run(effect)
    const interrupt = () => fiber.interruptUnsafe()
    if (signal.aborted) interrupt()
    signal.addEventListener("abort", interrupt, { once: true })
    fiber.addObserver((exit) => {
      signal.removeEventListener("abort", interrupt)
      if (Exit.isSuccess(exit)) return resolve(exit.value)
      const failure = Option.getOrElse(Exit.findErrorOption(exit), () => ({ code: -32_603, text: "cancelled" }))
      reject(new SdkProtocolError(failure.code, failure.text))
    })
  })

/** Shakes hands the old way, or with `discovered` is what the server has told us before: then nothing is sent. */
export const open = Effect.fnUntraced(function* (
  server: string,
  wire: Wire,
  host: Host.Host,
  run: Run,
  discovered: DiscoverResult | undefined,
  scrub: (text: string) => string
): Effect.fn.Return<Session, HandshakeFailure> {
  const client = new Client(clientInfo, { capabilities: host.capabilities })
  for (const method of host.handles) {
    client.setRequestHandler(method, (request, { mcpReq }) =>
      settled(run, host.answer(method, request.params) as Effect.Effect<never, Host.Failure>, mcpReq.signal)
    )
  }

  const prior =
    discovered === undefined ? { kind: "legacy" as const } : { kind: "modern" as const, discover: discovered }
  yield* Effect.tryPromise({
    try: (signal) => client.connect(wire.transport(), { signal, timeout: noTimeout, prior }),
    catch: (cause): HandshakeFailure => ({
      detail: scrub(causeText(cause)),
      auth: authRequired(server, cause),
      modernOnly:
        cause instanceof SdkProtocolError && (cause.code === unsupportedVersion || cause.code === methodNotFound)
    })
  })

  // The 2026 era has no word for it.
  if (discovered === undefined && host.rootsChanged !== undefined) {
    const tell = Effect.ignore(Effect.tryPromise(() => client.sendRootsListChanged()))
    run(Stream.runForEach(host.rootsChanged, () => tell))
  }

  return {
    protocolVersion: client.getNegotiatedProtocolVersion() ?? "unknown",
    serverInfo: client.getServerVersion(),
    capabilities: client.getServerCapabilities() ?? {},
    instructions: client.getInstructions()
  }
})
