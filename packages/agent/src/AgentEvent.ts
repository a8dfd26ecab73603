/**
 * What happens in a turn, as it happens.
 *
 * @since 0.1.0
 */
import type { CallEngine } from "@scoped-mcp/core"
import type { Skipped } from "./McpToolkit.ts"
import type { AuditRecord, CallOutcome } from "./ToolPolicy.ts"

/**
 * Tokens as the model's provider counts them; 0 where it does not say.
 *
 * @since 0.1.0
 */
export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
}

/**
 * A turn that has ended with an answer.
 *
 * @since 0.1.0
 */
export interface Turn {
  readonly turn: number
  readonly text: string
  /** How often the model was asked. */
  readonly steps: number
  /** Every call, made or refused, in the order they ended. */
  readonly calls: ReadonlyArray<AuditRecord>
  /** Servers and tools that this turn did without. */
  readonly skipped: ReadonlyArray<Skipped>
  readonly usage: Usage
}

/**
 * How the tools of a turn differ from those of the turn before.
 *
 * @since 0.1.0
 */
export interface ToolsChange {
  readonly added: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
  /** Same name, other definition. */
  readonly changed: ReadonlyArray<string>
}

/**
 * Arguments are redacted. `TextDelta` and `ReasoningDelta` come only from {@link Agent.stream}; the text of an attempt
 * that failed is withdrawn by `TextWithdrawn`. Progress for which a slow reader has no room is dropped, and nothing else.
 *
 * @since 0.1.0
 */
export type AgentEvent =
  | {
      readonly _tag: "TurnStarted"
      readonly turn: number
      readonly tools: number
      readonly mode: "direct" | "lazy"
      readonly skipped: ReadonlyArray<Skipped>
    }
  | ({ readonly _tag: "ToolsChanged" } & ToolsChange)
  | { readonly _tag: "TextDelta"; readonly text: string }
  | { readonly _tag: "ReasoningDelta"; readonly text: string }
  | { readonly _tag: "TextWithdrawn" }
  | {
      readonly _tag: "ToolCallStarted"
      readonly callId: string
      readonly name: string
      readonly server: string | undefined
      readonly tool: string | undefined
      readonly arguments: Readonly<Record<string, unknown>>
    }
  | { readonly _tag: "ToolCallProgress"; readonly callId: string; readonly progress: CallEngine.Progress }
  | {
      readonly _tag: "ToolCallEnded"
      readonly callId: string
      readonly name: string
      readonly outcome: CallOutcome
      readonly bytes: number
    }
  | { readonly _tag: "StepEnded"; readonly step: number; readonly usage: Usage }
  | { readonly _tag: "TurnEnded"; readonly turn: Turn }
