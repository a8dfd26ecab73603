/**
 * What a model may do with tools: which it sees, which a person has to approve, how much of them it may use, and who is
 * told of every call. Data and a few effects; {@link McpToolkit} and {@link Agent} keep to it.
 *
 * @example
 * ```ts
 * import { ToolPolicy } from "@scoped-mcp/agent"
 * import { Effect } from "effect"
 *
 * export const policy: ToolPolicy.ToolPolicy = {
 *   deny: [{ server: "files", tool: "delete_*" }],
 *   approve: { when: [{ readOnly: false }], ask: () => Effect.succeed({ approved: false, reason: "nobody is here" }) },
 *   budget: { turn: { calls: 20, time: "2 minutes" }, agent: { bytes: "10 MiB" } },
 *   redact: ["iban"]
 * }
 * ```
 *
 * @since 0.1.0
 */
import type { Limits, McpError } from "@scoped-mcp/core"
import type * as ByteSize from "effect/ByteSize"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { isSecretName, matchesName } from "./internal/names.ts"

/**
 * The annotations of a tool, with the protocol's defaults for those it does not have: not read-only, destructive, not
 * idempotent, open. They are its server's own word; believe them of servers you trust.
 *
 * @since 0.1.0
 */
export interface Annotations {
  readonly readOnly: boolean
  readonly destructive: boolean
  readonly idempotent: boolean
  readonly openWorld: boolean
}

/**
 * A tool as rules see it.
 *
 * @since 0.1.0
 */
export interface Subject {
  readonly server: string
  readonly tool: string
  readonly annotations: Annotations
}

/**
 * Picks tools: those for which all that is given holds. In names `*` stands for any text.
 *
 * @since 0.1.0
 */
export interface Match extends Partial<Annotations> {
  readonly server?: string | undefined
  readonly tool?: string | undefined
}

/**
 * A call that waits for a person's word.
 *
 * @since 0.1.0
 */
export interface ApprovalRequest extends Subject {
  readonly agent: string
  readonly turn: number
  /** As the model gave them, nothing hidden. */
  readonly arguments: Readonly<Record<string, unknown>>
}

/** @since 0.1.0 */
export type Approval = { readonly approved: true } | { readonly approved: false; readonly reason?: string | undefined }

/**
 * How much may be used. Whatever is absent has no limit.
 *
 * @since 0.1.0
 */
export interface Budget {
  readonly calls?: number | undefined
  /** Time in tools, summed over calls, approval not counted. A call that runs when it is over is cancelled. */
  readonly time?: Limits.Span | undefined
  /** Of answers, as the model gets them. */
  readonly bytes?: ByteSize.Input | undefined
}

/**
 * How a call ended.
 *
 * @since 0.1.0
 */
export type CallOutcome =
  | "Answered"
  | "Failed"
  | "Denied"
  | "NotApproved"
  | "BudgetSpent"
  | "InvalidArguments"
  | "Interrupted"

/**
 * What is on record of a call, made or refused. A name that no tool has is no call.
 *
 * @since 0.1.0
 */
export interface AuditRecord {
  readonly agent: string
  readonly turn: number
  /** The model's id of the call. */
  readonly callId: string
  /** Ours; no two calls share one, and sending a call again does not change it. */
  readonly idempotencyKey: string
  readonly server: string
  readonly tool: string
  /** Redacted. */
  readonly arguments: Readonly<Record<string, unknown>>
  /** Milliseconds of the clock. */
  readonly startedAt: number
  readonly took: Duration.Duration
  readonly outcome: CallOutcome
  /** How often it was sent: 0 when it was refused, more than 1 when it was safe to send again. */
  readonly attempts: number
  readonly error: McpError.McpError | undefined
  /** Of the answer, as the model got it. */
  readonly bytes: number
}

/** @since 0.1.0 */
export interface ToolPolicy {
  /** Only these tools are seen. Default: all. */
  readonly allow?: ReadonlyArray<Match> | undefined
  /** These are not, whatever `allow` says. */
  readonly deny?: ReadonlyArray<Match> | undefined
  /** Calls of these tools wait for a person, or whoever answers in one's place. Its failure or defect is a no. */
  readonly approve?:
    | {
        readonly when: ReadonlyArray<Match>
        readonly ask: (request: ApprovalRequest) => Effect.Effect<Approval, unknown>
        /** Longest wait for an answer; then it is a no. Default 5 minutes. */
        readonly timeout?: Limits.Span | undefined
      }
    | undefined
  readonly budget?: { readonly turn?: Budget | undefined; readonly agent?: Budget | undefined } | undefined
  /** Names of arguments, at any depth, that no record and no event shows. Names that sound like a secret never are. */
  readonly redact?: ReadonlyArray<string> | undefined
  /**
   * Told of every call when it has ended, before its answer goes to the model: nothing is lost, a slow one slows the agent,
   * and one that dies takes the turn with it.
   */
  readonly audit?: ((record: AuditRecord) => Effect.Effect<void>) | undefined
}

/**
 * Lets only tools be seen that say they change nothing.
 *
 * @since 0.1.0
 */
export const readOnly: ToolPolicy = { allow: [{ readOnly: true }] }

/**
 * Whether a rule picks a tool.
 *
 * @since 0.1.0
 */
export const matches = (match: Match, { annotations, server, tool }: Subject): boolean =>
  matchesName(match.server, server) &&
  matchesName(match.tool, tool) &&
  (["readOnly", "destructive", "idempotent", "openWorld"] as const).every(
    (hint) => match[hint] === undefined || match[hint] === annotations[hint]
  )

/**
 * Whether a model may see a tool.
 *
 * @since 0.1.0
 */
export const allows = (policy: ToolPolicy, subject: Subject): boolean =>
  (policy.allow === undefined || policy.allow.some((match) => matches(match, subject))) &&
  !(policy.deny ?? []).some((match) => matches(match, subject))

const hidden = "<redacted>"

/**
 * Arguments as records and events show them.
 *
 * @since 0.1.0
 */
export const redact = (
  policy: ToolPolicy,
  args: Readonly<Record<string, unknown>>
): Readonly<Record<string, unknown>> => {
  const names = new Set(policy.redact ?? [])
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk)
    return typeof value === "object" && value !== null ? record(value) : value
  }
  const record = (value: object): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, names.has(name) || isSecretName(name) ? hidden : walk(inner)])
    )
  return record(args)
}
