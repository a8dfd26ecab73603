import { assert, describe, it } from "@effect/vitest"
import { McpConnection } from "@scoped-mcp/core"
import { Effect, Exit, Logger, Scope } from "effect"
import * as Platform from "../support/platform.ts"
import { ScriptedPeer } from "../support/ScriptedPeer.ts"

const open = (peer: ScriptedPeer, closeTimeout: "5 seconds" | "50 millis" = "5 seconds") =>
  McpConnection.make("memory", peer.source({ closeTimeout })).pipe(Effect.provide(Platform.none))

describe("TransportWire", () => {
  it.effect.each(["throws", "rejects"] as const)(
    "fails a call as unknown when the transport %s, and forgets it",
    (how) =>
      Effect.gen(function* () {
        const peer = new ScriptedPeer()
        const connection = yield* open(peer)
        peer.last.send = () => {
          const error = new Error("the socket is gone")
          if (how === "throws") throw error
          return Promise.reject(error)
        }
        const { reason } = yield* Effect.flip(connection.callTool({ tool: "echo" }))
        assert.deepInclude(reason, { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
        assert.include(reason.message, "the socket is gone")
        assert.strictEqual((yield* connection.diagnostics).pending, 0)
      })
  )

  it.live("waits for a transport that does not close no longer than closeTimeout", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({ closing: () => new Promise(() => {}) })
      const scope = yield* Scope.make()
      yield* Scope.provide(open(peer, "50 millis"), scope)
      yield* Scope.close(scope, Exit.void).pipe(Effect.timeout("2 seconds"))
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
