/** A server in this process, over a transport of the MCP SDK, on the clock of the test. */
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import type { ServerLimits } from "@scoped-mcp/core/Limits"
import * as ServerSource from "@scoped-mcp/core/ServerSource"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { Wire } from "../Fault.ts"
import * as Journal from "../Journal.ts"
import type { Definition, InMemory } from "../ScriptedServer.ts"
import { type Frame, parse } from "./frames.ts"
import * as ServerState from "./ServerState.ts"
import * as Session from "./Session.ts"
import { noticed } from "./settle.ts"

/** A server that flaps takes no connection before it is back. */
class ServerDown extends Schema.TaggedError<ServerDown>("@scoped-mcp/testing/ServerDown")("ServerDown", {
  name: Schema.String
}) {
  override get message() {
    return `${this.name} is down`
  }
}

let servers = 0

const connect = Effect.fnUntraced(function* (
  state: ServerState.ServerState<Wire>
): Effect.fn.Return<Transport, ServerDown, Scope.Scope> {
  noticed()
  if (yield* ServerState.isDown(state)) return yield* new ServerDown({ name: state.definition.name })
  const faults = ServerState.connect(state)
  const context = yield* Effect.context()
  const outer = yield* Effect.scope
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const inbound = yield* Queue.unbounded<Frame>()
  let ended = false

  const end = Effect.suspend(() => {
    if (ended) return Effect.void
    ended = true
    return Scope.close(scope, Exit.void)
  })

  const deliver = (text: string) => {
    noticed()
    const frame = parse(text)
    if (frame !== undefined && !ended) transport.onmessage?.(frame as unknown as JSONRPCMessage)
  }

  const line: Session.Line = {
    send: (frame) => Effect.sync(() => deliver(JSON.stringify(frame))),
    sendText: (text) => Effect.sync(() => deliver(text)),
    cut: () =>
      Effect.suspend(() => {
        if (ended) return Effect.void
        ended = true
        transport.onclose?.()
        // From a fibre of the outer scope: the one that cuts the line belongs to what is closed here.
        return Effect.asVoid(Effect.forkIn(Scope.close(scope, Exit.void), outer))
      })
  }

  const transport: Transport = {
    start: () => Promise.resolve(),
    send: (message) => {
      noticed()
      if (ended) return Promise.reject(new Error("the line has ended"))
      Queue.offerUnsafe(inbound, JSON.parse(JSON.stringify(message)) as Frame)
      return Promise.resolve()
    },
    close: () => Effect.runPromiseWith(context)(end)
  }

  const id = `${state.definition.name}-${state.connections}`
  // Before the fibre that serves it, so that it ends after it: what it was doing is written down first.
  const session = yield* Scope.provide(
    Session.make(state, line, { id, faults, counters: { frames: 0, calls: 0 } }),
    scope
  )
  yield* Effect.forkIn(Effect.forever(Effect.flatMap(Queue.take(inbound), session.receive)), scope)
  return transport
})

export const make = (definition: Definition, faults: ReadonlyArray<Wire>, limits: ServerLimits): InMemory => {
  const state = ServerState.make(definition, faults, Journal.makeUnsafe())
  // A name of its own for each, because two servers of one definition share nothing.
  const identity = `in memory: ${definition.name} ${++servers}`
  return {
    source: ServerSource.fromTransport(identity, connect(state), limits),
    journal: state.journal,
    notify: (method, params) => ServerState.notify(state, method, params)
  }
}
