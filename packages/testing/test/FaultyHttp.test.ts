import { assert, describe, it } from "@effect/vitest"
import { type Limits, McpPool } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Fault, FaultyServer, Journal } from "@scoped-mcp/testing"
import { Effect } from "effect"
import { lend, server, tryLend } from "./support/calls.ts"
import library from "./support/library.ts"

const secret = "a-secret-of-the-library"

const limits: Limits.ServerLimits = {
  connectTimeout: "1 second",
  callIdleTimeout: "300 millis",
  maxMessageBytes: 200_000
}

interface Expected {
  readonly fault: Fault.Http
  readonly outcomes: ReadonlyArray<string>
  /** Runs of the tool. */
  readonly runs: number
  readonly sessions: number
}

const lost = "ConnectionLost OutcomeUnknown"
const silent = "CallTimeout OutcomeUnknown"
const call = { method: "tools/call", times: 1 }

const table: ReadonlyArray<Expected> = [
  { fault: Fault.refuse(401, { times: 1 }), outcomes: ["AuthRequired NotSent", "ok"], runs: 1, sessions: 1 },
  { fault: Fault.refuse(401, call), outcomes: ["AuthRequired NotSent", "ok"], runs: 1, sessions: 1 },
  { fault: Fault.refuse(403, call), outcomes: ["AuthRequired Answered", "ok"], runs: 1, sessions: 1 },
  {
    fault: Fault.refuse(429, { ...call, retryAfter: "2 seconds" }),
    outcomes: ["ProtocolError NotSent", "ok"],
    runs: 1,
    sessions: 1
  },
  {
    fault: Fault.refuse(503, { ...call, retryAfter: "2 seconds" }),
    outcomes: ["ProtocolError NotSent", "ok"],
    runs: 1,
    sessions: 1
  },
  { fault: Fault.refuse(500, call), outcomes: ["ProtocolError Answered", "ok"], runs: 1, sessions: 1 },
  {
    fault: Fault.refuse(502, { method: "initialize", times: 1 }),
    outcomes: ["ConnectFailed NotSent", "ok"],
    runs: 1,
    sessions: 1
  },
  { fault: Fault.expiringSessions(1), outcomes: ["ok", "ok", "ok"], runs: 3, sessions: 3 },
  { fault: Fault.first(Fault.crash(3), 1), outcomes: [lost, "ok"], runs: 1, sessions: 2 },
  {
    fault: Fault.flapping({ calls: 1, down: "1 minute" }),
    outcomes: ["ok", lost, "ConnectFailed NotSent"],
    runs: 1,
    sessions: 1
  },
  { fault: Fault.cutStreams, outcomes: [lost, lost], runs: 2, sessions: 1 },
  { fault: Fault.resetStreams, outcomes: [lost, lost], runs: 2, sessions: 1 },
  { fault: Fault.endlessStreams(), outcomes: [silent, silent], runs: 2, sessions: 1 },
  {
    fault: Fault.hugeAnswers(300_000),
    outcomes: ["MessageTooLarge Answered", "MessageTooLarge Answered"],
    runs: 2,
    sessions: 1
  },
  {
    fault: Fault.endlessAnswers,
    outcomes: ["MessageTooLarge Answered", "MessageTooLarge Answered"],
    runs: 2,
    sessions: 1
  },
  { fault: Fault.first(Fault.halfAnswers, 1), outcomes: [lost, "ok"], runs: 2, sessions: 2 },
  { fault: Fault.splitFrames(3), outcomes: ["ok", "ok"], runs: 2, sessions: 1 },
  { fault: Fault.noAnswers(), outcomes: [silent, silent], runs: 2, sessions: 1 },
  { fault: Fault.duplicateAnswers, outcomes: ["ok", "ok"], runs: 2, sessions: 1 }
]

const serve = (faults: ReadonlyArray<Fault.Http>, answers: "json" | "sse") =>
  FaultyServer.http(FaultyServer.make(library, faults), { answers, bearer: secret, ...limits })

describe("a server over HTTP", () => {
  for (const answers of ["json", "sse"] as const) {
    for (const { fault, outcomes, runs, sessions } of table) {
      it.live(`with ${Fault.print(fault)} that answers ${answers}: ${outcomes.join(", ")}`, () =>
        Effect.gen(function* () {
          const { config, journal } = yield* serve([fault], answers)
          const books = ["Émile", "Ulysses ✓", "Emma"]
          const seen = yield* Effect.forEach(outcomes, (_, index) => tryLend(books[index] ?? "")).pipe(
            Effect.provide(McpPool.layer({ servers: { library: config } }))
          )
          assert.deepStrictEqual(seen, outcomes)
          const entries = yield* journal.entries
          assert.strictEqual(Journal.executions(entries), runs)
          assert.deepStrictEqual(Journal.repeated(entries), [])
          assert.strictEqual(entries.filter((entry) => entry._tag === "SessionOpened").length, sessions)
          assert.deepStrictEqual(Journal.openSessions(entries), [])
        }).pipe(Effect.scoped, Effect.provide(McpNode.layer))
      )
    }
  }

  it.live("that echoes headers has the secrets among them scrubbed from errors", () =>
    Effect.gen(function* () {
      const { config, journal } = yield* serve([Fault.echoHeaders("Authorization")], "json")
      const error = yield* Effect.flip(lend("Emma")).pipe(
        Effect.provide(McpPool.layer({ servers: { library: config } }))
      )
      assert.strictEqual(error.reason._tag, "ProtocolError")
      assert.include(JSON.stringify(yield* journal.entries), secret)
      assert.notInclude(`${error.message} ${JSON.stringify(error)}`, secret)
    }).pipe(Effect.scoped, Effect.provide(McpNode.layer))
  )

  it.live("that is gone is refused as not sent", () =>
    Effect.gen(function* () {
      const { config } = yield* Effect.scoped(serve([], "json"))
      const seen = yield* tryLend("Emma").pipe(Effect.provide(McpPool.layer({ servers: { [server]: config } })))
      assert.strictEqual(seen, "ConnectFailed NotSent")
    }).pipe(Effect.provide(McpNode.layer))
  )
})
