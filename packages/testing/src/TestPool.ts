/**
 * A pool of servers in memory for the program under test, in one line, with their journals for the test.
 *
 * @example
 * ```ts
 * import { McpPool } from "@scoped-mcp/core"
 * import { Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
 * import { Effect } from "effect"
 *
 * const greeter = ScriptedServer.make({
 *   name: "greeter",
 *   tools: [ScriptedServer.tool({ name: "greet", handler: () => Effect.succeed("hello") })]
 * })
 *
 * export const program = Effect.gen(function*() {
 *   const pool = yield* McpPool.McpPool
 *   yield* pool.callTool({ server: "greeter", tool: "greet" })
 *   const { journal } = yield* TestPool.server("greeter")
 *   return Journal.executions(yield* journal.entries)
 * }).pipe(Effect.provide(TestPool.layer({ servers: { greeter } })))
 * ```
 *
 * @since 0.1.0
 */
import { HttpDispatcher, type Limits, type McpError, McpPool, ProcessOwner, type ServerSource } from "@scoped-mcp/core"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import type * as Fault from "./Fault.ts"
import * as FaultyServer from "./FaultyServer.ts"
import { settle } from "./internal/settle.ts"
import * as ScriptedServer from "./ScriptedServer.ts"

/**
 * The servers of the pool under test, seen from their side.
 *
 * @since 0.1.0
 */
export class TestServers extends Context.Service<
  TestServers,
  {
    /** The server of that name; dies when there is none. */
    readonly get: (name: string) => Effect.Effect<ScriptedServer.Handle>
  }
>()("@scoped-mcp/testing/TestServers") {}

/**
 * What {@link layer} accepts as a server.
 *
 * @since 0.1.0
 */
export type Server = ScriptedServer.Definition | FaultyServer.FaultyServer<Fault.Wire>

/** @since 0.1.0 */
export interface Options extends Omit<McpPool.Options, "servers"> {
  readonly servers: Readonly<Record<string, Server>>
  /** The limits of each server. Default: those of `core`. */
  readonly limits?: Limits.ServerLimits | undefined
}

/**
 * The servers' side of a pool that is built elsewhere, over processes or HTTP say.
 *
 * @since 0.1.0
 */
export const layerServers = (handles: Readonly<Record<string, ScriptedServer.Handle>>): Layer.Layer<TestServers> =>
  Layer.succeed(TestServers, {
    get: (name) => {
      const handle = handles[name]
      return handle === undefined ? Effect.die(new Error(`the test has no server "${name}"`)) : Effect.succeed(handle)
    }
  })

const unreachable = "a TestPool has no platform: its servers are in memory. Use McpPool.layer for processes and HTTP."

/** A pool needs a platform for servers that are data, and here are none. */
const noPlatform = Layer.mergeAll(
  Layer.succeed(ProcessOwner.ProcessOwner, {
    spawn: () => Effect.die(new Error(unreachable)),
    added: () => ({}),
    killAll: () => {}
  }),
  Layer.succeed(HttpDispatcher.HttpDispatcher, {
    dispatch: (_request, listener) => {
      listener.onFailure({ delivery: "NotSent", detail: unreachable })
      return () => {}
    },
    fetch: () => Promise.reject(new Error(unreachable))
  })
)

/**
 * A pool over servers in memory. They start anew each time the layer is built.
 *
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<McpPool.McpPool | TestServers, McpError.McpError> =>
  Layer.unwrap(
    Effect.sync(() => {
      const { limits, servers, ...rest } = options
      const running = Object.entries(servers).map(
        ([name, server]) =>
          [
            name,
            server._tag === "FaultyServer"
              ? FaultyServer.inMemory(server, limits)
              : ScriptedServer.inMemory(server, limits)
          ] as const
      )
      const sources: Record<string, ServerSource.Server> = Object.fromEntries(
        running.map(([name, { source }]) => [name, source])
      )
      return Layer.merge(
        Layer.provide(McpPool.layer({ ...rest, servers: sources }), noPlatform),
        layerServers(Object.fromEntries(running))
      )
    })
  )

/**
 * The server of that name, with its journal.
 *
 * @since 0.1.0
 */
export const server = (name: string): Effect.Effect<ScriptedServer.Handle, never, TestServers> =>
  Effect.flatMap(TestServers, (servers) => servers.get(name))

/** Time moves in steps of this, and of more only over days. */
const step = { least: Duration.millis(100), most: 5000 }

/**
 * Moves the test's clock, step by step, and before each step lets servers in memory, their clients and the agent do what
 * there is to do at that moment. `TestClock.adjust` alone does not wait for promises, such as those of a handshake, so
 * that a whole minute may pass between a question and its answer.
 *
 * @since 0.1.0
 */
export const adjust = Effect.fnUntraced(function* (duration: Duration.Input): Effect.fn.Return<void> {
  const total = Duration.toMillis(Duration.fromInputUnsafe(duration))
  const size = Math.max(Duration.toMillis(step.least), Math.ceil(total / step.most))
  yield* settle
  for (let passed = 0; passed < total; passed += size) {
    yield* TestClock.adjust(Math.min(size, total - passed))
    yield* settle
  }
})
