/**
 * What every pool must do with every server, whatever connects them: sentences with a check each. No test runner is
 * imported; a test file registers the cases with its own.
 *
 * @example
 * ```ts
 * import { PoolContract, ScriptedServer } from "@scoped-mcp/testing"
 * import { Effect } from "effect"
 *
 * const inMemory: PoolContract.Subject = {
 *   serve: (server) =>
 *     Effect.sync(() => {
 *       const { journal, notify, source } = ScriptedServer.inMemory(server.definition)
 *       return { server: source, handle: { journal, notify } }
 *     })
 * }
 *
 * // for (const each of PoolContract.cases) it.live(each.name, () => PoolContract.check(each, inMemory))
 * export const checks = PoolContract.cases.map((each) => PoolContract.check(each, inMemory))
 * ```
 *
 * @since 0.1.0
 */
import { type McpConnection, type McpError, McpPool, type ServerSource } from "@scoped-mcp/core"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Fault from "../Fault.ts"
import * as FaultyServer from "../FaultyServer.ts"
import * as Journal from "../Journal.ts"
import type { Handle } from "../ScriptedServer.ts"
import definition from "./poolServer.ts"

/**
 * A sentence of the contract does not hold.
 *
 * @since 0.1.0
 */
export class ContractBroken extends Schema.TaggedError<ContractBroken>("@scoped-mcp/testing/ContractBroken")(
  "ContractBroken",
  { what: Schema.String, expected: Schema.Unknown, seen: Schema.Unknown }
) {
  override get message() {
    return `${this.what}: expected ${JSON.stringify(this.expected)}, saw ${JSON.stringify(this.seen)}`
  }
}

/**
 * A pool, and the way to a server, that the contract is checked on.
 *
 * @since 0.1.0
 */
export interface Subject {
  /** Serves the definition with its faults until the scope closes. */
  readonly serve: (
    server: FaultyServer.FaultyServer<Fault.Wire>
  ) => Effect.Effect<{ readonly server: ServerSource.Server; readonly handle: Handle }, never, Scope.Scope>
  /** The pool. Default `McpPool.layer`. */
  readonly pool?:
    | ((options: McpPool.Options) => Layer.Layer<McpPool.McpPool, McpError.McpError, McpConnection.Platform>)
    | undefined
}

/**
 * One sentence, and how it is checked.
 *
 * @since 0.1.0
 */
export interface Case {
  readonly name: string
  readonly faults: ReadonlyArray<Fault.Wire>
  readonly test: (
    pool: McpPool.McpPoolService,
    journal: Journal.Journal
  ) => Effect.Effect<void, ContractBroken | McpError.McpError, Scope.Scope>
}

/**
 * The module that has the contract's server as its default export, for `ScriptedServer.stdio`.
 *
 * @since 0.1.0
 */
export const module = new URL(`./poolServer${import.meta.url.slice(-3)}`, import.meta.url)

const same = (what: string, seen: unknown, expected: unknown): Effect.Effect<void, ContractBroken> =>
  Equal.equals(seen, expected) ? Effect.void : Effect.fail(new ContractBroken({ what, expected, seen }))

const server = "subject"

const outcome = (call: Effect.Effect<unknown, McpError.McpError>) =>
  Effect.match(call, {
    onFailure: (error) => [error.reason._tag, error.delivery],
    onSuccess: () => ["Success"]
  })

const soundCases: ReadonlyArray<Omit<Case, "faults">> = [
  {
    name: "answers a call with text and with data that fits its schema",
    test: Effect.fnUntraced(function* (pool) {
      const result = yield* pool.callTool({ server, tool: "add", arguments: { a: 2, b: 3 } })
      yield* same("structured content", result.structuredContent, { sum: 5 })
      yield* same("text", result.text, '{"sum":5}')
    })
  },
  {
    name: "delivers progress in order and before the result",
    test: Effect.fnUntraced(function* (pool) {
      const seen: Array<number> = []
      const onProgress = ({ progress }: { readonly progress: number }) => void seen.push(progress)
      yield* pool.callTool({ server, tool: "count", arguments: { to: 5 }, onProgress })
      yield* same("progress at the time of the result", seen, [1, 2, 3, 4, 5])
    })
  },
  {
    name: "tells a tool's own failure from every other",
    test: Effect.fnUntraced(function* (pool) {
      yield* same("failure", yield* outcome(pool.callTool({ server, tool: "fail" })), ["ToolError", "Answered"])
      const wrong = pool.callTool({ server, tool: "add", arguments: { a: "two" } })
      yield* same("wrong arguments", yield* outcome(wrong), ["ToolError", "Answered"])
      yield* same("unknown tool", yield* outcome(pool.callTool({ server, tool: "ad" })), ["UnknownTool", "Answered"])
      const missing = pool.readResource({ server, uri: "test://nowhere" })
      yield* same("unknown resource", yield* outcome(missing), ["ProtocolError", "Answered"])
    })
  },
  {
    name: "lists everything over all pages",
    test: Effect.fnUntraced(function* (pool) {
      const catalog = yield* pool.catalogOf(server)
      const names = catalog.tools.map((tool) => tool.name)
      yield* same("tools", names, ["add", "count", "fail", "hang", "empty"])
      yield* same("resources", catalog.resources.length, 1)
      yield* same("templates", catalog.resourceTemplates.length, 1)
      yield* same("prompts", catalog.prompts.length, 1)
    })
  },
  {
    name: "reads resources, gets prompts and completes arguments",
    test: Effect.fnUntraced(function* (pool) {
      const page = yield* pool.readResource({ server, uri: "test://page" })
      yield* same("resource", page.contents[0], { uri: "test://page", mimeType: "text/plain", text: "written here" })
      const greeting = yield* pool.getPrompt({ server, prompt: "greet", arguments: { who: "Ada" } })
      yield* same("prompt", greeting.messages[0]?.content, { type: "text", text: "Say hello to Ada." })
      const ask = { ref: { prompt: "greet" }, argument: { name: "who", value: "A" } } as const
      yield* same("completion", (yield* pool.complete({ server, ...ask })).values, ["Ada", "Alan"])
    })
  },
  {
    name: "opens one session for many first callers",
    test: Effect.fnUntraced(function* (pool, journal) {
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, b) => b),
        (b) => pool.callTool({ server, tool: "add", arguments: { a: 1, b } }),
        { concurrency: "unbounded" }
      )
      const entries = yield* journal.entries
      yield* same("sessions", entries.filter((entry) => entry._tag === "SessionOpened").length, 1)
      yield* same("runs of the tool", Journal.executions(entries, "add"), 20)
    })
  },
  {
    name: "cancels on the server what is interrupted, and stays usable",
    test: Effect.fnUntraced(function* (pool, journal) {
      const call = yield* Effect.forkChild(pool.callTool({ server, tool: "hang" }))
      yield* journal.first((entry) => entry._tag === "ToolStarted")
      yield* Fiber.interrupt(call)
      const ended = yield* journal.first((entry) => entry._tag === "ToolEnded")
      yield* same("end of the tool", ended._tag === "ToolEnded" ? ended.outcome : "", "Interrupted")
      yield* pool.callTool({ server, tool: "empty" })
      yield* same("sessions left", Journal.openSessions(yield* journal.entries).length, 1)
    })
  },
  {
    name: "gives a silent call up at its limit, tells the server, and stays usable",
    test: Effect.fnUntraced(function* (pool, journal) {
      const call = pool.callTool({ server, tool: "hang", idleTimeout: Duration.millis(100) })
      yield* same("silent call", yield* outcome(call), ["CallTimeout", "OutcomeUnknown"])
      yield* journal.first((entry) => entry._tag === "ToolEnded" && entry.outcome === "Interrupted")
      yield* pool.callTool({ server, tool: "empty" })
    })
  },
  {
    name: "fails running calls when it closes, and takes no other",
    test: Effect.fnUntraced(function* (pool, journal) {
      const call = yield* Effect.forkChild(outcome(pool.callTool({ server, tool: "hang" })))
      yield* journal.first((entry) => entry._tag === "ToolStarted")
      yield* pool.close
      yield* same("running call", yield* Fiber.join(call), ["ConnectionLost", "OutcomeUnknown"])
      yield* same("later call", yield* outcome(pool.callTool({ server, tool: "empty" })), ["PoolClosed", "NotSent"])
    })
  }
]

const faultyCases: ReadonlyArray<Case> = [
  {
    name: "says that the outcome is unknown when the server dies on a call, does not repeat it, and recovers",
    faults: [Fault.first(Fault.crash(3), 1)],
    test: Effect.fnUntraced(function* (pool, journal) {
      const lost = pool.callTool({ server, tool: "add", arguments: { a: 1, b: 1 } })
      yield* same("call that met the crash", yield* outcome(lost), ["ConnectionLost", "OutcomeUnknown"])
      yield* same("runs of the tool", Journal.executions(yield* journal.entries, "add"), 0)
      const next = yield* pool.callTool({ server, tool: "add", arguments: { a: 1, b: 2 } })
      yield* same("next call", next.structuredContent, { sum: 3 })
      yield* same("calls received", Journal.received(yield* journal.entries, "tools/call").length, 2)
    })
  },
  {
    name: "recovers from a server that dies in the handshake",
    faults: [Fault.first(Fault.crash("Handshake"), 1)],
    test: Effect.fnUntraced(function* (pool) {
      const call = pool.callTool({ server, tool: "empty" })
      yield* same("first call", yield* outcome(call), ["ConnectFailed", "NotSent"])
      yield* same("next call", yield* outcome(call), ["Success"])
    })
  },
  {
    name: "takes answers that come twice or answer nothing for what they are",
    faults: [Fault.duplicateAnswers, Fault.unknownIds],
    test: Effect.fnUntraced(function* (pool) {
      for (const b of [1, 2, 3]) {
        const result = yield* pool.callTool({ server, tool: "add", arguments: { a: 1, b } })
        yield* same("sum", result.structuredContent, { sum: 1 + b })
      }
    })
  },
  {
    name: "refuses a list whose pages have no end, and goes on",
    faults: [Fault.repeatedCursor],
    test: Effect.fnUntraced(function* (pool) {
      const refused = yield* Effect.matchEager(pool.catalogOf(server), {
        onFailure: ({ delivery, reason }) => `${reason._tag} ${delivery}`,
        onSuccess: () => "listed"
      })
      yield* same("listing", refused, "ProtocolError Answered")
      yield* pool.callTool({ server, tool: "empty" })
    })
  }
]

/**
 * The contract. Cases that need time need milliseconds of it, on whatever clock the subject's server runs.
 *
 * @since 0.1.0
 */
export const cases: ReadonlyArray<Case> = [...soundCases.map((each) => ({ ...each, faults: [] })), ...faultyCases]

/**
 * Checks one case on a pool of its own, closes the pool, and checks that every session has ended and no tool was run
 * twice for the same work, as the server saw it. Fails with `ContractBroken`.
 *
 * @since 0.1.0
 */
export const check = (
  each: Case,
  subject: Subject
): Effect.Effect<void, ContractBroken | McpError.McpError, McpConnection.Platform> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { handle, server: source } = yield* subject.serve(FaultyServer.make(definition, each.faults))
      const makePool = subject.pool ?? McpPool.layer
      yield* Effect.scoped(
        Effect.flatMap(Layer.build(makePool({ servers: { [server]: source } })), (context) =>
          each.test(Context.get(context, McpPool.McpPool), handle.journal)
        )
      )
      const entries = yield* handle.journal.entries
      yield* same("sessions that outlive the pool", Journal.openSessions(entries).length, 0)
      yield* same("work that was done twice", Journal.repeated(entries), [])
    })
  )
