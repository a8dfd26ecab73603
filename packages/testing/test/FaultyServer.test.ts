import { assert, describe, it } from "@effect/vitest"
import { McpPool } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Fault, FaultyServer, Journal, TestPool } from "@scoped-mcp/testing"
import { type Duration, Effect, Fiber, Option, Random, Stream } from "effect"
import { outcome, server, tryLend } from "./support/calls.ts"
import library from "./support/library.ts"

const pool = (...faults: ReadonlyArray<Fault.Wire>) =>
  TestPool.layer({ servers: { library: FaultyServer.make(library, faults) } })

const journal = Effect.flatMap(TestPool.server(server), (handle) => handle.journal.entries)

/** The outcome of something that takes time, after so much of it. */
const after = Effect.fnUntraced(function* <A, E, R>(time: Duration.Input, work: Effect.Effect<A, E, R>) {
  const running = yield* Effect.forkChild(work)
  yield* TestPool.adjust(time)
  return yield* Fiber.join(running)
})

interface Expected {
  readonly fault: Fault.Wire
  /** What the first call comes to, in so much time. */
  readonly first: readonly [outcome: string, within: Duration.Input]
  /** What a call after it comes to, when the fault has not gone. */
  readonly next: string
  /** Runs of the tool for the first call. */
  readonly runs: number
}

const table: ReadonlyArray<Expected> = [
  { fault: Fault.slowStart("3 seconds"), first: ["ok", "3 seconds"], next: "ok", runs: 1 },
  {
    fault: Fault.first(Fault.slowStart("1 minute"), 1),
    first: ["ConnectFailed NotSent", "10 seconds"],
    next: "ok",
    runs: 0
  },
  { fault: Fault.first(Fault.noHandshake, 1), first: ["ConnectFailed NotSent", "10 seconds"], next: "ok", runs: 0 },
  { fault: Fault.first(Fault.crash("Handshake"), 1), first: ["ConnectFailed NotSent", 0], next: "ok", runs: 0 },
  { fault: Fault.first(Fault.crash(3), 1), first: ["ConnectionLost OutcomeUnknown", 0], next: "ok", runs: 0 },
  { fault: Fault.flapping({ calls: 1 }), first: ["ok", 0], next: "ConnectionLost OutcomeUnknown", runs: 1 },
  { fault: Fault.slowAnswers("50 seconds"), first: ["ok", "50 seconds"], next: "ok", runs: 1 },
  {
    fault: Fault.noAnswers(),
    first: ["CallTimeout OutcomeUnknown", "60 seconds"],
    next: "CallTimeout OutcomeUnknown",
    runs: 1
  },
  {
    fault: Fault.lateAnswers("61 seconds"),
    first: ["CallTimeout OutcomeUnknown", "60 seconds"],
    next: "CallTimeout OutcomeUnknown",
    runs: 1
  },
  { fault: Fault.duplicateAnswers, first: ["ok", 0], next: "ok", runs: 1 },
  { fault: Fault.unknownIds, first: ["ok", 0], next: "ok", runs: 1 },
  {
    fault: Fault.wrongShape("tools/call", { content: "text" }),
    first: ["InvalidResult Answered", 0],
    next: "InvalidResult Answered",
    runs: 1
  },
  {
    fault: Fault.wrongShape("tools/call", "text"),
    first: ["InvalidResult Answered", 0],
    next: "InvalidResult Answered",
    runs: 1
  },
  {
    fault: Fault.first(Fault.wrongShape("initialize", { hello: 1 }), 1),
    first: ["ConnectFailed NotSent", 0],
    next: "ok",
    runs: 0
  },
  {
    fault: Fault.errorAnswers("tools/call", -32_000),
    first: ["ProtocolError Answered", 0],
    next: "ProtocolError Answered",
    runs: 0
  },
  { fault: Fault.first(Fault.errorAnswers("initialize"), 1), first: ["ConnectFailed NotSent", 0], next: "ok", runs: 0 },
  { fault: Fault.repeatedCursor, first: ["ok", 0], next: "ok", runs: 1 },
  { fault: Fault.changingTools(1), first: ["ok", 0], next: "ok", runs: 1 }
]

describe("a server in memory, under virtual time", () => {
  for (const { fault, first, next, runs } of table) {
    it.effect(`with ${Fault.print(fault)}: ${first[0]}, then ${next}`, () =>
      Effect.gen(function* () {
        const [expected, within] = first
        assert.strictEqual(yield* after(within, tryLend("Emma")), expected)
        assert.strictEqual(Journal.executions(yield* journal), runs)
        // As long as the longest limit of a call: it comes to something in any case.
        assert.strictEqual(yield* after("61 seconds", tryLend("Persuasion")), next)
        assert.deepStrictEqual(Journal.repeated(yield* journal), [])
      }).pipe(Effect.provide(pool(fault)))
    )
  }

  it.effect("that flaps is refused while it is down, and used again when it is back", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* tryLend("Emma"), "ok")
      yield* TestPool.adjust("20 seconds")
      assert.strictEqual(yield* tryLend("Persuasion"), "ConnectFailed NotSent")
      yield* TestPool.adjust("25 seconds")
      assert.strictEqual(yield* tryLend("Persuasion"), "CircuitOpen NotSent")
      // It is tried again while it is down, and once more soon after it is back.
      yield* TestPool.adjust("11 seconds")
      assert.strictEqual(yield* tryLend("Persuasion"), "ok")
      const opened = (yield* journal).filter((entry) => entry._tag === "SessionOpened")
      assert.deepStrictEqual(
        opened.map((entry) => entry.at >= 50_000),
        [false, true]
      )
    }).pipe(
      Effect.provide(pool(Fault.flapping({ after: "20 seconds", down: "30 seconds" }))),
      // The pauses between attempts are a matter of chance.
      Random.withSeed("a server that flaps")
    )
  )

  it.effect("whose late answer meets nobody answers the next call with its own", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* after("60 seconds", tryLend("Emma")), "CallTimeout OutcomeUnknown")
      const { callTool } = yield* McpPool.McpPool
      const next = yield* Effect.forkChild(callTool({ server, tool: "lend", arguments: { book: "Persuasion" } }))
      yield* TestPool.adjust("90 seconds")
      // The first answer came in the midst of the second call, and was not taken for its own.
      assert.strictEqual((yield* Effect.exit(Fiber.join(next)))._tag, "Failure")
      const sent = (yield* journal).filter((entry) => entry._tag === "FrameSent" && entry.at > 60_000)
      assert.strictEqual(sent.length, 2)
    }).pipe(
      Effect.provide(
        TestPool.layer({
          servers: { library: FaultyServer.make(library, [Fault.lateAnswers("70 seconds")]) },
          // It would not be used for long.
          limits: { health: { check: "off" } }
        })
      )
    )
  )

  it.effect("that gets another tool is listed anew, and its new tool can be called", () =>
    Effect.gen(function* () {
      const { callTool, catalogOf, catalogs } = yield* McpPool.McpPool
      assert.strictEqual((yield* catalogOf(server)).tools.length, 1)
      const changed = yield* Effect.forkChild(
        Stream.runHead(Stream.filter(catalogs, (catalog) => catalog.servers[0]?.tools.length === 2))
      )
      yield* tryLend("Emma")
      yield* TestPool.adjust("1 second")
      assert.isTrue(Option.isSome(yield* Fiber.join(changed)))
      assert.strictEqual((yield* callTool({ server, tool: "extra_1" })).text, "extra_1")
    }).pipe(Effect.provide(pool(Fault.changingTools(1))))
  )

  it.effect("with several faults has them all", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* after("9 seconds", tryLend("Emma")), "ok")
      const answers = (yield* journal).filter((entry) => entry._tag === "FrameSent" && "result" in entry.frame)
      // Two of each: of the handshake's answer and of the call's.
      assert.strictEqual(answers.length, 4)
    }).pipe(Effect.provide(pool(Fault.slowStart("4 seconds"), Fault.slowAnswers("5 seconds"), Fault.duplicateAnswers)))
  )

  it.effect("that does not answer harms no other", () =>
    Effect.gen(function* () {
      const mute = yield* Effect.forkChild(tryLend("Emma"))
      const { callTool } = yield* McpPool.McpPool
      const other = callTool({ server: "sound", tool: "lend", arguments: { book: "Emma" } })
      assert.strictEqual(yield* outcome(other), "ok")
      yield* Fiber.interrupt(mute)
    }).pipe(
      Effect.provide(
        TestPool.layer({ servers: { library: FaultyServer.make(library, [Fault.noHandshake]), sound: library } })
      )
    )
  )

  const each: ReadonlyArray<Fault.Wire> = [
    Fault.slowStart("300 millis"),
    Fault.noHandshake,
    Fault.crash("Handshake"),
    Fault.crash(4),
    Fault.flapping({ after: "500 millis", down: "700 millis" }),
    Fault.flapping({ calls: 1 }),
    Fault.slowAnswers("400 millis"),
    Fault.noAnswers(),
    Fault.lateAnswers("3 seconds"),
    Fault.duplicateAnswers,
    Fault.unknownIds,
    Fault.wrongShape("tools/call", [1, 2]),
    Fault.wrongShape("initialize", { protocolVersion: 7 }),
    Fault.errorAnswers("tools/call"),
    Fault.changingTools(1)
  ]
  const pairs = each.flatMap((one, index) =>
    each.slice(index + 1).map((other) => [one, Fault.first(other, 2)] as const)
  )

  it.effect(
    `with any of ${pairs.length} pairs of faults settles every call in its limits, and does nothing twice`,
    () =>
      Effect.gen(function* () {
        const seen = new Set<string>()
        for (const faults of pairs) {
          const name = faults.map(Fault.print).join(" and ")
          const limits = { connectTimeout: "1 second", callIdleTimeout: "2 seconds" } as const
          const { journal, source } = FaultyServer.inMemory(FaultyServer.make(library, faults), limits)
          yield* Effect.gen(function* () {
            const calls = yield* Effect.forkChild(
              Effect.forEach(["Emma", "Persuasion", "Ulysses", "Middlemarch"], tryLend)
            )
            // Each call may have to connect, and once again if it was not sent: at most 6 seconds.
            yield* TestPool.adjust("24 seconds")
            assert.isDefined(calls.pollUnsafe(), name)
            for (const result of yield* Fiber.join(calls)) seen.add(result)
          }).pipe(Effect.provide(McpPool.layer({ servers: { library: source } })), Effect.provide(McpNode.layer))
          const entries = yield* journal.entries
          assert.deepStrictEqual(Journal.repeated(entries), [], name)
          assert.deepStrictEqual(Journal.openSessions(entries), [], name)
        }
        const unknown = ["CallTimeout OutcomeUnknown", "ConnectionLost OutcomeUnknown"]
        const notSent = ["CircuitOpen NotSent", "ConnectFailed NotSent"]
        const known = ["InvalidResult Answered", "ProtocolError Answered", "ok"]
        assert.deepStrictEqual([...seen].sort(), [...unknown, ...notSent, ...known].sort())
      })
  )
})
