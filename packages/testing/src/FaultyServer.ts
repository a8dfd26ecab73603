/**
 * A scripted server that is not well: the same definition with a list of faults. What the types let through is what can
 * happen there: processes forks and signals, HTTP statuses and streams, both and memory whatever is said.
 *
 * @example
 * ```ts
 * import { Fault, FaultyServer, ScriptedServer } from "@scoped-mcp/testing"
 *
 * const library = ScriptedServer.make({ name: "library" })
 *
 * // Answers two calls, then is gone for five seconds of the test's clock, again and again.
 * export const flaky = FaultyServer.make(library, [Fault.flapping({ calls: 2, down: "5 seconds" })])
 * ```
 *
 * @since 0.1.0
 */
import type { Limits, ServerConfig } from "@scoped-mcp/core"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Fault from "./Fault.ts"
import * as httpServer from "./internal/httpServer.ts"
import * as memoryServer from "./internal/memoryServer.ts"
import * as runner from "./internal/runner.ts"
import type { Definition, HttpOptions, InMemory, OverHttp, StdioOptions } from "./ScriptedServer.ts"

/**
 * A definition and its faults, which hold together.
 *
 * @since 0.1.0
 */
export interface FaultyServer<out F extends Fault.Fault> {
  readonly _tag: "FaultyServer"
  readonly definition: Definition
  readonly faults: ReadonlyArray<F>
}

/**
 * Gives a server faults; as the export of a module it is served on stdio like any definition.
 *
 * @since 0.1.0
 */
export const make = <F extends Fault.Fault>(definition: Definition, faults: ReadonlyArray<F>): FaultyServer<F> => ({
  _tag: "FaultyServer",
  definition,
  faults
})

/**
 * Serves in memory, on the clock of the test.
 *
 * @since 0.1.0
 */
export const inMemory = (server: FaultyServer<Fault.Wire>, limits: Limits.ServerLimits = {}): InMemory =>
  memoryServer.make(server.definition, server.faults, limits)

/**
 * Serves as a real process, with these faults besides those of the module's export.
 *
 * @since 0.1.0
 */
export const stdio = (options: StdioOptions, faults: ReadonlyArray<Fault.Process>): ServerConfig.Stdio =>
  runner.stdio(options, faults)

/**
 * Serves over Streamable HTTP on a free port of the loopback interface until the scope closes.
 *
 * @since 0.1.0
 */
export const http = (
  server: FaultyServer<Fault.Http>,
  options: HttpOptions = {}
): Effect.Effect<OverHttp, never, Scope.Scope> => httpServer.make(server.definition, server.faults, options)
