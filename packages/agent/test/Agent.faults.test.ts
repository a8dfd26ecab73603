import { assert, describe, it } from "@effect/vitest"
import { Agent, type AgentEvent, ScriptedModel, type ToolPolicy } from "@scoped-mcp/agent"
import { Fault, FaultyServer, Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Clock, Deferred, Duration, Effect, Fiber, Schema, Stream } from "effect"
import { agent, call } from "./support/agents.ts"

const text = { arguments: Schema.Struct({ text: Schema.String }) }
const write = ScriptedServer.tool({ name: "write", ...text, handler: ({ text }) => Effect.succeed(`wrote ${text}`) })
const read = ScriptedServer.tool({
  name: "read",
  ...text,
  annotations: { readOnlyHint: true },
  handler: ({ text }) => Effect.succeed(`read ${text}`)
})
const notes = ScriptedServer.make({ name: "notes", tools: [write, read] })

const results = ({ results }: ScriptedModel.Request) => results.map(({ text }) => text).join("\n")

const runs = (server: string) =>
  Effect.gen(function* () {
    const { journal } = yield* TestPool.server(server)
    const entries = yield* journal.entries
    return { count: Journal.executions(entries), repeated: Journal.repeated(entries), entries }
  })

describe("a turn whose server", () => {
  it.effect("never answers a call that ran, tells the model so at callIdleTimeout and does not send it again", () => {
    const model = ScriptedModel.make([call("notes__write", { text: "one" }), results])
    const records: Array<ToolPolicy.AuditRecord> = []
    const policy = { audit: (record: ToolPolicy.AuditRecord) => Effect.sync(() => void records.push(record)) }
    const silent = FaultyServer.make(notes, [Fault.noAnswers()])
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Agent.ask("Write one down."))
      const { journal } = yield* TestPool.server("notes")
      yield* TestPool.adjust("1 second")
      assert.strictEqual(Journal.executions(yield* journal.entries), 1)
      yield* TestPool.adjust("61 seconds")
      assert.include(yield* Fiber.join(turn), '"mayHaveRun":true,"tryAgain":"afterChecking"')
      const { count, repeated } = yield* runs("notes")
      assert.deepStrictEqual([count, repeated], [1, []])
      assert.deepStrictEqual(
        records.map(({ attempts, error, outcome }) => [attempts, error?.reason._tag, outcome]),
        [[1, "CallTimeout", "Failed"]]
      )
    }).pipe(Effect.provide(agent(model, { notes: silent }, { policy })))
  })

  it.effect("crashes in the middle, goes on with what is left, and runs nothing twice that writes", () => {
    const model = ScriptedModel.make([
      {
        calls: [
          { name: "notes__write", arguments: { text: "one" } },
          { name: "other__write", arguments: { text: "two" } }
        ]
      },
      (request) => {
        assert.deepStrictEqual(
          request.results.map(({ isFailure }) => isFailure),
          [true, false]
        )
        return call("notes__write", { text: "three" })
      },
      results
    ])
    const once = FaultyServer.make(notes, [Fault.first(Fault.flapping({ calls: 0 }), 1)])
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Agent.ask("Write them down."))
      yield* TestPool.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(turn), "wrote three")
      assert.deepStrictEqual((yield* runs("notes")).repeated, [])
      assert.deepStrictEqual((yield* runs("other")).count, 1)
    }).pipe(Effect.provide(agent(model, { notes: once, other: notes })))
  })

  it.effect("crashes on a call that only reads, has it sent again with the same key", () => {
    const model = ScriptedModel.make([call("notes__read", { text: "one" }), results])
    const records: Array<ToolPolicy.AuditRecord> = []
    const policy = { audit: (record: ToolPolicy.AuditRecord) => Effect.sync(() => void records.push(record)) }
    const once = FaultyServer.make(notes, [Fault.first(Fault.flapping({ calls: 0 }), 1)])
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Agent.ask("Read it."))
      yield* TestPool.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(turn), "read one")
      assert.deepStrictEqual(
        records.map(({ attempts, outcome }) => [attempts, outcome]),
        [[2, "Answered"]]
      )
    }).pipe(Effect.provide(agent(model, { notes: once }, { policy })))
  })

  it.effect("hangs, ends at turnTimeout; the call is cancelled and the conversation says what became of it", () => {
    const model = ScriptedModel.make([call("notes__write", { text: "one" }), "never", "It may have run."])
    const hanging = FaultyServer.make(notes, [Fault.noAnswers()])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const turn = yield* Effect.forkChild(Effect.flip(service.ask("Write one down.")))
      yield* TestPool.adjust("31 seconds")
      const { reason } = yield* Fiber.join(turn)
      assert.strictEqual(reason._tag, "TurnTimeout")
      const { count, entries } = yield* runs("notes")
      assert.strictEqual(count, 1)
      assert.isTrue(entries.some(({ _tag }) => _tag === "RequestCancelled"))
      const history = yield* service.history
      assert.deepStrictEqual(
        history.content.map(({ role }) => role),
        ["user", "assistant", "tool"]
      )
      assert.include(JSON.stringify(history.content.at(-1)), "It may have run")
    }).pipe(Effect.provide(agent(model, { notes: hanging }, { turnTimeout: "30 seconds" })))
  })

  it.effect("never opens, goes on without it at openTimeout and says so to the model and to the reader", () => {
    const model = ScriptedModel.make(["without it, then"])
    const dead = FaultyServer.make(notes, [Fault.noHandshake])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const turn = yield* Effect.forkChild(service.turn("Go."))
      yield* TestPool.adjust("5 seconds")
      const { skipped, text } = yield* Fiber.join(turn)
      assert.strictEqual(text, "without it, then")
      assert.deepStrictEqual(
        skipped.map(({ server }) => server),
        ["dead"]
      )
      const [request] = model.requests()
      assert.deepStrictEqual(request?.tools, ["notes__read", "notes__write"])
      assert.include(JSON.stringify(request?.prompt), "These servers are not available now: dead.")
    }).pipe(Effect.provide(agent(model, { dead, notes }, { openTimeout: "4 seconds" })))
  })

  it.effect("changes its tools in the middle, keeps its snapshot; the next turn has the new ones and says so", () => {
    const changing = FaultyServer.make(notes, [Fault.changingTools(1)])
    const model = ScriptedModel.make([
      call("notes__read", { text: "a" }),
      call("notes__read", { text: "b" }),
      "done",
      "again"
    ])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const collect = Effect.forkChild(Stream.runCollect(service.stream("Read.")))
      const first = yield* collect
      yield* TestPool.adjust("10 seconds")
      yield* Fiber.join(first)
      assert.deepStrictEqual(
        model.requests().map(({ tools }) => tools.length),
        [2, 2, 2]
      )
      const second = yield* collect
      yield* TestPool.adjust("10 seconds")
      const events: ReadonlyArray<AgentEvent.AgentEvent> = yield* Fiber.join(second)
      const change = events.find((event) => event._tag === "ToolsChanged")
      assert.deepStrictEqual(change?.added, ["notes__extra_1", "notes__extra_2"])
      assert.strictEqual(model.requests().at(-1)?.tools.length, 4)
    }).pipe(Effect.provide(agent(model, { notes: changing })))
  })

  it.effect("returns 20 MB, gives the model the beginning and says what is left out", () => {
    const size = 20 * 1024 * 1024
    const huge = ScriptedServer.make({
      name: "huge",
      tools: [ScriptedServer.tool({ name: "dump", handler: () => Effect.succeed("x".repeat(size)) })]
    })
    const model = ScriptedModel.make([call("huge__dump"), ({ results }) => results[0]?.text.slice(-80) ?? ""])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const turn = yield* Effect.forkChild(service.turn("Dump it."))
      yield* TestPool.adjust("1 second")
      const { calls, text } = yield* Fiber.join(turn)
      assert.include(text, "more characters were left out")
      assert.isAtMost(calls[0]?.bytes ?? size, 64 * 1024)
      assert.isBelow(JSON.stringify(yield* service.history).length, 256 * 1024)
    }).pipe(Effect.provide(agent(model, { huge })))
  })

  it.effect("is slow, ends when the answer is there; other calls of the same answer do not wait for it", () => {
    const slow = FaultyServer.make(notes, [Fault.slowAnswers("20 seconds")])
    const model = ScriptedModel.make([
      {
        calls: [
          { name: "slow__read", arguments: { text: "a" } },
          { name: "notes__read", arguments: { text: "b" } }
        ]
      },
      results
    ])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const ended: Array<readonly [string, number]> = []
      const turn = yield* Effect.forkChild(
        Stream.runForEach(service.stream("Read both."), (event) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            if (event._tag === "ToolCallEnded") ended.push([event.name, now])
            if (event._tag === "TurnEnded") ended.push([event.turn.text, now])
          })
        )
      )
      yield* TestPool.adjust("1 minute")
      yield* Fiber.join(turn)
      assert.deepStrictEqual(ended, [
        ["notes__read", 0],
        ["slow__read", 20_000],
        ["read a\nread b", 20_000]
      ])
    }).pipe(Effect.provide(agent(model, { notes, slow })))
  })

  it.effect(
    "is in the midst of a call when the turn is interrupted, has it cancelled and leaves the agent usable",
    () => {
      const hanging = FaultyServer.make(notes, [Fault.noAnswers()])
      const model = ScriptedModel.make([call("notes__write", { text: "one" }), "later"])
      return Effect.gen(function* () {
        const service = yield* Agent.Agent
        const turn = yield* Effect.forkChild(service.ask("Write."))
        const { journal } = yield* TestPool.server("notes")
        yield* TestPool.adjust("1 second")
        yield* Fiber.interrupt(turn)
        yield* TestPool.adjust("1 second")
        yield* journal.first(({ _tag }) => _tag === "RequestCancelled")
        assert.strictEqual(yield* service.ask("And?"), "later")
        assert.include(JSON.stringify(model.requests()[1]?.prompt), "It may have run")
      }).pipe(Effect.provide(agent(model, { notes: hanging })))
    }
  )

  it.effect("is in the midst of a call when the agent's scope closes, has it cancelled; the agent is closed", () => {
    const hanging = FaultyServer.make(notes, [Fault.noAnswers()])
    const model = ScriptedModel.make([call("notes__write", { text: "one" })])
    return Effect.gen(function* () {
      const started = yield* Deferred.make<Agent.AgentService>()
      const holder = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            yield* Deferred.succeed(started, yield* Agent.make())
            yield* Effect.sleep("5 seconds")
          })
        ).pipe(Effect.provide(model.layer))
      )
      const service = yield* Deferred.await(started)
      const turn = yield* Effect.forkChild(Effect.flip(service.ask("Write.")))
      yield* TestPool.adjust("6 seconds")
      yield* Fiber.join(holder)
      assert.strictEqual((yield* Fiber.join(turn)).reason._tag, "AgentClosed")
      assert.isTrue((yield* runs("notes")).entries.some(({ _tag }) => _tag === "RequestCancelled"))
      assert.deepStrictEqual((yield* service.history).content, [])
      assert.strictEqual((yield* Effect.flip(service.ask("More."))).reason._tag, "AgentClosed")
    }).pipe(Effect.provide(TestPool.layer({ servers: { notes: hanging } })))
  })
})

it.effect("waits for a circuit only as long as a model has patience; else it tells when to come back", () => {
  const down = FaultyServer.make(notes, [Fault.flapping({ calls: 0, down: "10 minutes" })])
  const model = ScriptedModel.make([
    call("notes__write", { text: "one" }),
    call("notes__write", { text: "two" }),
    results
  ])
  return Effect.gen(function* () {
    const turn = yield* Effect.forkChild(Agent.ask("Write."))
    yield* TestPool.adjust(Duration.minutes(2))
    const answer = yield* Fiber.join(turn)
    assert.include(answer, '"tryAgain":"later"')
    assert.deepStrictEqual((yield* runs("notes")).repeated, [])
  }).pipe(Effect.provide(agent(model, { notes: down })))
})
