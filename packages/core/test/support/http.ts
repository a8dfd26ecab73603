/** A connection over HTTP to a server that the test plays. */
import { type Limits, McpConnection, type McpError, ServerConfig } from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Option } from "effect"
import * as Platform from "./platform.ts"

export const canary = "canary-token-123"

export const config = (limits: Limits.ServerLimits = {}) =>
  ServerConfig.http({
    // The server of these tests opens with `initialize`; what is asked first is the negotiation's own to show.
    era: "legacy",
    url: "https://example.com/mcp?key=canary-query-123",
    headers: { Authorization: `Bearer ${canary}` },
    ...limits
  })

export const withHttp = <A, E>(
  body: (connection: McpConnection.Connection, http: Platform.FakeHttp) => Effect.Effect<A, E>,
  options: Limits.ServerLimits & { readonly http?: Platform.FakeHttp } = {}
) => {
  const { http = new Platform.FakeHttp(), ...limits } = options
  return Effect.gen(function* () {
    return yield* body(yield* McpConnection.make("web", config(limits)), http)
  }).pipe(Effect.provide(http.layer), Effect.scoped)
}

export const call = (connection: McpConnection.Connection, tool = "t", onProgress?: (progress: number) => void) =>
  Effect.forkDetach(Effect.exit(connection.callTool({ tool, onProgress: ({ progress }) => onProgress?.(progress) })), {
    startImmediately: true
  })

export const text = (fiber: Fiber.Fiber<Exit.Exit<{ readonly text: string }, McpError.McpError>>) =>
  Effect.map(Effect.flatten(Fiber.join(fiber)), ({ text }) => text)

export const failure = (fiber: Fiber.Fiber<Exit.Exit<unknown, McpError.McpError>>) =>
  Effect.map(Fiber.join(fiber), (exit) => Option.getOrThrow(Exit.findErrorOption(exit)).reason)

/** Lets everything that is due now happen. */
export const settled = Effect.andThen(
  Effect.yieldNow,
  Effect.promise(() => Promise.resolve())
)
