/** The toolkit of one turn: of an agent, or standing alone. */
import { McpPool } from "@scoped-mcp/core"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Call, Definition, McpToolkit, Options, PoolTool } from "../McpToolkit.ts"
import * as TokenEstimate from "../TokenEstimate.ts"
import * as ToolContent from "../ToolContent.ts"
import { ToolFailure } from "../ToolFailure.ts"
import type * as ToolPolicy from "../ToolPolicy.ts"
import * as lazyTools from "./lazyTools.ts"
import * as Snapshot from "./snapshot.ts"
import type { ToolEntry } from "./ToolEntry.ts"
import * as ToolGate from "./ToolGate.ts"

/** What an agent adds to the options of a toolkit of its turn. */
export interface Turn {
  readonly agent: string
  readonly turn: number
  readonly ledger: ToolGate.Ledger
  readonly onRecord: (record: ToolPolicy.AuditRecord) => Effect.Effect<void>
}

const toTool = (entry: Definition & Partial<ToolEntry>): PoolTool => {
  const tool = Tool.dynamic(entry.name, {
    description: entry.description,
    parameters: entry.inputSchema,
    success: ToolContent.Content,
    failure: ToolFailure,
    failureMode: "return",
    toModelOutput: (content: ToolContent.Content) => content
  })
  const { annotations } = entry
  const annotated =
    annotations === undefined
      ? tool
      : tool
          .annotate(Tool.Readonly, annotations.readOnly)
          .annotate(Tool.Destructive, annotations.destructive)
          .annotate(Tool.Idempotent, annotations.idempotent)
          .annotate(Tool.OpenWorld, annotations.openWorld)
  return annotated.addDependency(McpPool.McpPool)
}

const toToolkit = (
  definitions: ReadonlyArray<Definition>,
  call: McpToolkit["call"]
): Effect.Effect<McpToolkit["toolkit"]> => {
  const toolkit = Toolkit.make(...definitions.map(toTool)) as unknown as Toolkit.Toolkit<Record<string, PoolTool>>
  const handlers = Object.fromEntries(
    definitions.map(({ name }) => [
      name,
      (params: unknown, context: Toolkit.HandlerContext<PoolTool>) =>
        Effect.flatMap(call({ name, arguments: params, id: context.toolCallId }), ({ content, failure }) =>
          failure === undefined ? Effect.succeed(content) : Effect.fail(failure)
        )
    ])
  )
  return Effect.flatMap(toolkit.toHandlers(handlers), (context) => Effect.provideContext(toolkit, context))
}

/** The toolkit of one turn of an agent. */
export const make = Effect.fnUntraced(function* (
  options: Options,
  turn: Turn
): Effect.fn.Return<McpToolkit, never, McpPool.McpPool> {
  const policy = options.policy ?? {}
  const { denied, entries, servers, skipped } = yield* Snapshot.take({
    servers: options.servers,
    policy,
    openTimeout: options.openTimeout
  })
  const byName = new Map([...denied, ...entries].map((entry) => [entry.name, entry]))
  const limits = ToolContent.resolve(options.content ?? {})
  const gate = ToolGate.make({
    policy,
    limits,
    agent: turn.agent,
    turn: turn.turn,
    ledgers: { turn: ToolGate.emptyLedger(), agent: turn.ledger },
    onRecord: turn.onRecord
  })
  let calls = 0
  const nextKey = () => `${turn.agent}-${turn.turn}-${++calls}`

  const direct: ReadonlyArray<Definition> = entries.map(({ description, inputSchema, name }) => ({
    name,
    description,
    inputSchema
  }))
  const lazy = lazyTools.make(entries, denied, limits)
  const tokens = { direct: TokenEstimate.estimate(direct), lazy: TokenEstimate.estimate(lazy.definitions) }
  const wanted = options.mode ?? "auto"
  const mode = wanted === "auto" ? (tokens.direct > (options.lazyAbove ?? 20_000) ? "lazy" : "direct") : wanted

  /** The entry and its arguments, or what the model is told instead. */
  const read = (call: Call) => {
    const inner = mode === "lazy" ? lazy.read(call) : call
    if ("answer" in inner) return inner
    const entry = byName.get(inner.name)
    return entry === undefined ? lazyTools.unknown(inner.name, direct) : { entry, arguments: inner.arguments }
  }

  const call: McpToolkit["call"] = (call) =>
    Effect.suspend(() => {
      const meant = read(call)
      if ("answer" in meant) return Effect.succeed(meant.answer)
      const idempotencyKey = nextKey()
      return gate.call({
        entry: meant.entry,
        arguments: meant.arguments,
        callId: call.id ?? idempotencyKey,
        idempotencyKey,
        onProgress: call.onProgress
      })
    })

  const definitions = mode === "lazy" ? lazy.definitions : direct
  return {
    fingerprint: JSON.stringify(direct),
    mode,
    servers,
    definitions,
    tools: entries.map(({ annotations, description, inputSchema, name, server, tool }) => ({
      name,
      server,
      tool,
      description,
      inputSchema,
      annotations
    })),
    skipped,
    tokens,
    toolkit: yield* toToolkit(mode === "lazy" ? lazy.definitions : entries, call),
    call,
    resolve: (call) => {
      const meant = read(call)
      return "answer" in meant ? undefined : meant.entry
    }
  }
})

/** Tells this agent from every other one, so that no two of their calls share a key. */
export const makeId = Effect.map(
  Effect.all([Random.nextIntBetween(0, 2 ** 31), Random.nextIntBetween(0, 2 ** 31)]),
  (parts) => parts.map((part) => part.toString(36)).join("")
)
