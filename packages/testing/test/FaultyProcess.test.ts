import { assert, describe, it } from "@effect/vitest"
import { type Limits, McpError, McpPool } from "@scoped-mcp/core"
import { McpNode, ProcessTable } from "@scoped-mcp/node"
import { Fault, FaultyServer, Journal } from "@scoped-mcp/testing"
import { Effect, Exit, Layer, Scope } from "effect"
import { lend, tryLend } from "./support/calls.ts"

const module = new URL("./support/library.ts", import.meta.url)
const secret = "a-secret-of-the-library"

const limits: Limits.ServerLimits = {
  closeTimeout: "2 seconds",
  callIdleTimeout: "500 millis",
  maxMessageBytes: 200_000
}

interface Expected {
  readonly faults: ReadonlyArray<Fault.Process>
  /** What the calls come to, one after the other. */
  readonly outcomes: ReadonlyArray<string>
  /** Runs of the tool. */
  readonly runs: number
  /** Processes that were servers. */
  readonly servers: number
  readonly shell?: boolean
  readonly health?: Limits.HealthLimits
}

/** Often enough to have found a frozen server out before the first call on it is given up. */
const watched: Limits.HealthLimits = { every: "50 millis", timeout: "100 millis", failures: 2 }

const ok = { outcomes: ["ok", "ok"], runs: 2, servers: 1 }
const lost = "ConnectionLost OutcomeUnknown"
const silent = "CallTimeout OutcomeUnknown"

const table: ReadonlyArray<Expected> = [
  { faults: [], ...ok, shell: true },
  { faults: [Fault.ignoreEndOfInput], ...ok },
  { faults: [Fault.ignoreEndOfInput, Fault.ignoreTerm], ...ok, shell: true },
  { faults: (["plain", "shell", "launcher", "session", "pipes"] as const).map(Fault.helpers), ...ok },
  {
    faults: [Fault.first(Fault.crash(3, { signal: "SIGKILL" }), 1), Fault.helpers("pipes")],
    outcomes: [lost, "ok"],
    runs: 1,
    servers: 2
  },
  { faults: [Fault.first(Fault.frozen(3), 1)], outcomes: [silent, "ok"], runs: 1, servers: 2, health: watched },
  { faults: [Fault.first(Fault.frozen(3), 1)], outcomes: [silent, silent], runs: 0, servers: 1 },
  { faults: [Fault.stdoutNoise("Welcome!", "{ not json", '{"json":"but no message"}')], ...ok },
  { faults: [Fault.splitFrames(3), Fault.slowStart("200 millis")], ...ok },
  { faults: [Fault.stderrFlood(1_000_000)], ...ok },
  {
    faults: [Fault.hugeAnswers(300_000)],
    outcomes: ["MessageTooLarge Answered", "MessageTooLarge Answered"],
    runs: 2,
    servers: 1
  },
  { faults: [Fault.first(Fault.halfAnswers, 1)], outcomes: [lost, "ok"], runs: 2, servers: 2 },
  {
    faults: [Fault.first(Fault.stopReading(2), 1)],
    outcomes: [silent, "ok"],
    runs: 1,
    servers: 2,
    health: watched
  },
  {
    faults: [Fault.flapping({ calls: 1, down: "1 minute" })],
    outcomes: ["ok", lost, "ConnectFailed NotSent"],
    runs: 1,
    servers: 2
  }
]

/** A pool over one process, which is closed, and whose processes are looked for, at the end. */
const withServer = Effect.fnUntraced(
  function* <A, E>(
    { faults, health, shell }: Pick<Expected, "faults" | "health" | "shell">,
    use: (journal: Journal.Journal) => Effect.Effect<A, E, McpPool.McpPool>
  ) {
    const { journal, path } = yield* Journal.temporary
    const config = FaultyServer.stdio(
      { module, journal: path, shell, env: { LIBRARY_TOKEN: secret }, ...limits, health },
      faults
    )
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(McpPool.layer({ servers: { library: config } }), scope)
    const result = yield* Effect.onExit(Effect.provide(use(journal), context), () => Scope.close(scope, Exit.void))
    const alive = Journal.pids(yield* journal.entries).filter((pid) => ProcessTable.read(pid)?.zombie === false)
    assert.deepStrictEqual(alive, [], "processes that outlive the pool")
    return result
  },
  Effect.scoped,
  Effect.provide(McpNode.layer)
)

describe("a server that is a process", () => {
  for (const expected of table) {
    const faults = expected.faults.map(Fault.print).join(" and ")
    it.live(
      `${expected.shell === true ? "behind a shell " : ""}${expected.health === undefined ? "" : "watched "}with ${faults || "no fault"}: ${expected.outcomes.join(", ")}`,
      () =>
        withServer(
          expected,
          Effect.fnUntraced(function* (journal) {
            const books = ["Émile", "Ulysses ✓", "Emma"]
            const outcomes = yield* Effect.forEach(expected.outcomes, (_, index) => tryLend(books[index] ?? ""))
            assert.deepStrictEqual(outcomes, expected.outcomes)
            const entries = yield* journal.entries
            assert.strictEqual(Journal.executions(entries), expected.runs)
            assert.deepStrictEqual(Journal.repeated(entries), [])
            assert.strictEqual(entries.filter((entry) => entry._tag === "ProcessStarted").length, expected.servers)
          })
        )
    )
  }

  it.live("that starts helpers has them while it runs", () =>
    withServer(
      { faults: [Fault.helpers("launcher"), Fault.helpers("session")] },
      Effect.fnUntraced(function* (journal) {
        assert.strictEqual(yield* tryLend("Emma"), "ok")
        const pids = Journal.pids(yield* journal.entries)
        assert.deepStrictEqual(
          pids.map((pid) => ProcessTable.read(pid)?.name === "sleep"),
          [false, true, true]
        )
      })
    )
  )

  it.live("that dies in the handshake is named with its exit code and its last words", () =>
    withServer(
      {
        faults: [
          Fault.crash("Handshake", { exitCode: 7 }),
          Fault.echoEnvironment("LIBRARY_TOKEN"),
          Fault.stdoutNoise("a banner")
        ]
      },
      Effect.fnUntraced(function* () {
        const { reason } = yield* Effect.flip(lend("Emma"))
        assert.instanceOf(reason, McpError.ConnectFailed)
        assert.strictEqual(reason.exitCode, 7)
        assert.deepStrictEqual(reason.noise, ["a banner"])
        assert.include(reason.stderr, "LIBRARY_TOKEN=")
        assert.notInclude(reason.message, secret)
      })
    )
  )

  it.live("that echoes its secrets has them scrubbed from errors", () =>
    withServer(
      { faults: [Fault.echoEnvironment("LIBRARY_TOKEN")] },
      Effect.fnUntraced(function* (journal) {
        const error = yield* Effect.flip(lend("Emma"))
        assert.strictEqual(error.reason._tag, "ProtocolError")
        assert.notInclude(`${error.message} ${JSON.stringify(error)}`, secret)
        // It was there to be scrubbed.
        assert.include(JSON.stringify(yield* journal.entries), secret)
      })
    )
  )

  it.live("that begins an answer without end fails the call, not the test", () =>
    withServer(
      { faults: [Fault.first(Fault.endlessAnswers, 1)] },
      Effect.fnUntraced(function* () {
        assert.strictEqual(yield* tryLend("Emma"), "MessageTooLarge Answered")
      })
    )
  )
})
