/**
 * The tools of MCP servers as a toolkit of `effect/ai`: one snapshot of chosen servers, which stays as it is while a turn
 * lasts. Its handlers call through the pool in the context, within a policy; what goes wrong goes back to the model.
 *
 * @example
 * ```ts
 * import { McpToolkit } from "@scoped-mcp/agent"
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 *
 * export const program = Effect.gen(function* () {
 *   const tools = yield* McpToolkit.make({ servers: ["sql", "files"] })
 *   for (const { server, why } of tools.skipped) yield* Effect.logWarning(`without ${server}: ${why}`)
 *   const response = yield* LanguageModel.generateText({ prompt: "List the tables.", toolkit: tools.toolkit })
 *   return response.toolResults
 * })
 * ```
 *
 * @since 0.1.0
 */
import type { CallEngine, Limits, McpPool } from "@scoped-mcp/core"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Snapshot from "./internal/snapshot.ts"
import * as ToolGate from "./internal/ToolGate.ts"
import * as TurnToolkit from "./internal/TurnToolkit.ts"
import type * as ToolContent from "./ToolContent.ts"
import type { ToolFailure } from "./ToolFailure.ts"
import type * as ToolPolicy from "./ToolPolicy.ts"

/**
 * A tool as the model sees it. `name` is that of `ToolNames` in `@scoped-mcp/core`.
 *
 * @since 0.1.0
 */
export interface Definition {
  readonly name: string
  readonly description: string
  readonly inputSchema: Readonly<Record<string, unknown>>
}

/**
 * A server, or a tool of one, that is not in the toolkit, and why.
 *
 * @since 0.1.0
 */
export interface Skipped extends Snapshot.Skipped {}

/**
 * How tools are shown: `direct` puts each into every request; `lazy` puts three there, with which the model searches,
 * reads up and calls; `auto` is lazy when `direct` would cost more than `lazyAbove` tokens.
 *
 * @since 0.1.0
 */
export type Mode = "direct" | "lazy" | "auto"

/** @since 0.1.0 */
export interface Options {
  /** The servers whose tools are offered. Default: all of the pool. */
  readonly servers?: ReadonlyArray<string> | undefined
  readonly policy?: ToolPolicy.ToolPolicy | undefined
  /** How much of an answer reaches the model. */
  readonly content?: ToolContent.Limits | undefined
  /** Default `auto`. */
  readonly mode?: Mode | undefined
  /** Default 20,000 tokens, as estimated. */
  readonly lazyAbove?: number | undefined
  /** A server whose tools are not there by then is skipped. Default 10 seconds. */
  readonly openTimeout?: Limits.Span | undefined
}

/**
 * A call that a model wants made.
 *
 * @since 0.1.0
 */
export interface Call {
  readonly name: string
  readonly arguments: unknown
  /** The model's own id of it, for the record. */
  readonly id?: string | undefined
  /** Told of the server's progress, in order. */
  readonly onProgress?: ((progress: CallEngine.Progress) => void) | undefined
}

/**
 * What came of a call. A failure is for the model to act on; the turn goes on.
 *
 * @since 0.1.0
 */
export interface Outcome {
  readonly outcome: ToolPolicy.CallOutcome
  /** What the model gets of the answer; empty on failure. */
  readonly content: ToolContent.Content
  readonly failure: ToolFailure | undefined
  readonly bytes: number
  readonly took: Duration.Duration
}

/**
 * A tool of the toolkit. It needs the pool when it is called, so a request with the toolkit needs it, too.
 *
 * @since 0.1.0
 */
export type PoolTool = Tool.Tool<
  string,
  {
    readonly parameters: typeof Schema.Unknown
    readonly success: typeof ToolContent.Content
    readonly failure: typeof ToolFailure
    readonly failureMode: "return"
  },
  McpPool.McpPool
>

/** @since 0.1.0 */
export interface McpToolkit {
  /** Equal when all definitions are equal, word for word. */
  readonly fingerprint: string
  readonly mode: "direct" | "lazy"
  /** Servers that answered, with and without tools. */
  readonly servers: ReadonlyArray<string>
  /** What the model sees: every tool, or the three of lazy mode. */
  readonly definitions: ReadonlyArray<Definition>
  /** Every tool that can be called, whatever the mode. */
  readonly tools: ReadonlyArray<Definition & ToolPolicy.Subject>
  readonly skipped: ReadonlyArray<Skipped>
  /** What each mode costs per request, as estimated. */
  readonly tokens: { readonly direct: number; readonly lazy: number }
  /** For `LanguageModel.generateText({ toolkit })`. */
  readonly toolkit: Toolkit.WithHandler<Record<string, PoolTool>>
  /** Makes one call, by the name the model used. Never fails. Interruption cancels it on the server. */
  readonly call: (call: Call) => Effect.Effect<Outcome, never, McpPool.McpPool>
  /** The tool that a call will reach, looked up through lazy mode's `call_tool`; nothing for a name nobody has. */
  readonly resolve: (call: Call) => ToolPolicy.Subject | undefined
}

/**
 * Takes a snapshot of the servers' tools and makes a toolkit of it. Opens servers that are not open; those that cannot be
 * are in `skipped`. Tools that change later do not change it: make another one for the next turn. Budgets of a turn and
 * of an agent both begin with it.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<McpToolkit, never, McpPool.McpPool> {
  const agent = `toolkit-${yield* TurnToolkit.makeId}`
  return yield* TurnToolkit.make(options, {
    agent,
    turn: 1,
    ledger: ToolGate.emptyLedger(),
    onRecord: () => Effect.void
  })
})
