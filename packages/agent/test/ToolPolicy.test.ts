import { assert, describe, it } from "@effect/vitest"
import { Agent, ScriptedModel, ToolPolicy } from "@scoped-mcp/agent"
import { Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Deferred, Duration, Effect, Fiber, Schema } from "effect"
import { agent, call } from "./support/agents.ts"

const look = ScriptedServer.tool({
  name: "look",
  annotations: { readOnlyHint: true },
  handler: () => Effect.succeed("x".repeat(100))
})
const remove = ScriptedServer.tool({
  name: "remove_all",
  arguments: Schema.Struct({ what: Schema.String, password: Schema.String }),
  handler: ({ what }) => Effect.succeed(`removed ${what}`)
})
const wait = ScriptedServer.tool({ name: "wait", handler: () => Effect.as(Effect.sleep("10 seconds"), "waited") })
const shop = ScriptedServer.make({ name: "shop", tools: [look, remove, wait] })
const servers = { shop }

const executions = Effect.gen(function* () {
  const { journal } = yield* TestPool.server("shop")
  return Journal.executions(yield* journal.entries)
})

const annotations = { readOnly: true, destructive: false, idempotent: false, openWorld: true }
const results = ({ results }: ScriptedModel.Request) => results.map(({ text }) => text).join("\n")
const removal = call("shop__remove_all", { what: "it", password: "hunter2" })

/** Records every call, and runs what a model does under a policy. */
const recording = (
  steps: Parameters<typeof ScriptedModel.make>[0],
  policy: ToolPolicy.ToolPolicy,
  options: Agent.Options = {}
) => {
  const records: Array<ToolPolicy.AuditRecord> = []
  const model = ScriptedModel.make(steps)
  const audit = (record: ToolPolicy.AuditRecord) => Effect.sync(() => void records.push(record))
  return { records, model, layer: agent(model, servers, { ...options, policy: { ...policy, audit } }) }
}

describe("rules", () => {
  it("match by server, tool and annotation, with * for any text and nothing else special", () => {
    const subject = { server: "files", tool: "delete_file", annotations }
    const cases: ReadonlyArray<readonly [ToolPolicy.Match, boolean]> = [
      [{}, true],
      [{ server: "files" }, true],
      [{ server: "file" }, false],
      [{ tool: "delete_*" }, true],
      [{ tool: "*file" }, true],
      [{ tool: "delete.file" }, false],
      [{ tool: "(delete_file" }, false],
      [{ tool: "delete_*", readOnly: false }, false],
      [{ readOnly: true, openWorld: true }, true]
    ]
    for (const [match, expected] of cases)
      assert.strictEqual(ToolPolicy.matches(match, subject), expected, JSON.stringify(match))
  })

  it.effect("hide what is denied or not allowed, and refuse it all the same when it is called", () => {
    const { layer, model, records } = recording([removal, results], { deny: [{ tool: "remove_*" }] })
    return Effect.gen(function* () {
      assert.include(yield* Agent.ask("Go."), '"error":"Denied"')
      assert.deepStrictEqual(model.requests()[0]?.tools, ["shop__look", "shop__wait"])
      assert.strictEqual(yield* executions, 0)
      assert.deepStrictEqual(
        records.map(({ attempts, outcome }) => [attempts, outcome]),
        [[0, "Denied"]]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("let only readers through under readOnly", () => {
    const { layer, model } = recording(["ok"], ToolPolicy.readOnly)
    return Effect.gen(function* () {
      yield* Agent.ask("Go.")
      assert.deepStrictEqual(model.requests()[0]?.tools, ["shop__look"])
    }).pipe(Effect.provide(layer))
  })
})

describe("approval", () => {
  it.effect("waits for a person, who sees the arguments, and lets the call through", () => {
    const asked: Array<ToolPolicy.ApprovalRequest> = []
    const answer = Deferred.makeUnsafe<ToolPolicy.Approval>()
    const approve = {
      when: [{ destructive: true }],
      ask: (request: ToolPolicy.ApprovalRequest) =>
        Effect.andThen(
          Effect.sync(() => void asked.push(request)),
          Deferred.await(answer)
        )
    }
    const { layer, records } = recording([removal, results], { approve })
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Agent.ask("Go."))
      yield* TestPool.adjust("1 minute")
      assert.deepStrictEqual(asked[0]?.arguments, { what: "it", password: "hunter2" })
      assert.strictEqual(yield* executions, 0)
      yield* Deferred.succeed(answer, { approved: true })
      yield* TestPool.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(turn), "removed it")
      assert.strictEqual(records[0]?.outcome, "Answered")
    }).pipe(Effect.provide(layer))
  })

  it.effect("is a no when the person says so, does not answer, or cannot be asked", () => {
    const asks: ReadonlyArray<readonly [string, () => Effect.Effect<ToolPolicy.Approval, unknown>]> = [
      ["too risky", () => Effect.succeed({ approved: false, reason: "too risky" })],
      ["nobody answered in time", () => Effect.never],
      ["asking for approval failed", () => Effect.fail("offline")],
      ["asking for approval failed", () => Effect.die("bug")]
    ]
    return Effect.forEach(asks, ([why, ask]) => {
      const { layer, records } = recording([removal, results], { approve: { when: [{}], ask, timeout: "1 minute" } })
      return Effect.gen(function* () {
        const turn = yield* Effect.forkChild(Agent.ask("Go."))
        yield* TestPool.adjust("2 minutes")
        assert.include(yield* Fiber.join(turn), why)
        assert.strictEqual(yield* executions, 0)
        assert.deepStrictEqual(
          records.map(({ attempts, outcome }) => [attempts, outcome]),
          [[0, "NotApproved"]]
        )
      }).pipe(Effect.provide(layer, { local: true }))
    })
  })
})

describe("budgets", () => {
  it.effect("of calls hold for the turn and for the agent, also among calls at the same time", () => {
    const three = { calls: [1, 2, 3].map(() => ({ name: "shop__look" })) }
    const outcomes = ({ results }: ScriptedModel.Request) =>
      results.map(({ isFailure }) => (isFailure ? "no" : "yes")).join()
    const { layer } = recording([three, outcomes, three, outcomes], {
      budget: { turn: { calls: 2 }, agent: { calls: 3 } }
    })
    return Effect.gen(function* () {
      assert.strictEqual(yield* Agent.ask("One."), "yes,yes,no")
      assert.strictEqual(yield* Agent.ask("Two."), "yes,no,no")
      assert.strictEqual(yield* executions, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("of time cancel the call that runs when they are over, and refuse the next", () => {
    const { layer, records } = recording([call("shop__wait"), call("shop__look"), results], {
      budget: { turn: { time: "4 seconds" } }
    })
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Agent.ask("Wait."))
      yield* TestPool.adjust("20 seconds")
      assert.include(yield* Fiber.join(turn), "No more time in tools")
      assert.deepStrictEqual(
        records.map(({ outcome, took }) => [outcome, Duration.toMillis(took)]),
        [
          ["BudgetSpent", 4000],
          ["BudgetSpent", 0]
        ]
      )
      const { journal } = yield* TestPool.server("shop")
      yield* journal.first(({ _tag }) => _tag === "RequestCancelled")
    }).pipe(Effect.provide(layer))
  })

  it.effect("of bytes cut the answer that is too large, and refuse the next", () => {
    const { layer, records } = recording([call("shop__look"), call("shop__look"), call("shop__look"), results], {
      budget: { agent: { bytes: "150 B" } }
    })
    return Effect.gen(function* () {
      assert.include(yield* Agent.ask("Look."), "No more bytes of answers")
      assert.deepStrictEqual(
        records.map(({ bytes, outcome }) => [outcome, bytes]),
        [
          ["Answered", 100],
          ["Answered", 50],
          ["BudgetSpent", 0]
        ]
      )
    }).pipe(Effect.provide(layer))
  })
})

describe("the record", () => {
  it.effect("shows no secret, and no argument that is to be hidden", () => {
    const { layer, records } = recording([removal, results], { redact: ["what"] })
    return Effect.gen(function* () {
      assert.strictEqual(yield* Agent.ask("Go."), "removed it")
      assert.deepStrictEqual(records[0]?.arguments, { what: "<redacted>", password: "<redacted>" })
    }).pipe(Effect.provide(layer))
  })

  it("hides at any depth, in lists as well", () => {
    const args = {
      list: [{ apiKey: "k", iban: "DE", name: "n" }],
      headers: { Authorization: "Bearer x" },
      "max-tokens": 1
    }
    assert.deepStrictEqual(ToolPolicy.redact({ redact: ["iban"] }, args), {
      list: [{ apiKey: "<redacted>", iban: "<redacted>", name: "n" }],
      headers: { Authorization: "<redacted>" },
      "max-tokens": 1
    })
  })

  it.effect("has a call that was interrupted", () => {
    const { layer, records } = recording([call("shop__wait"), "never"], {})
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Agent.ask("Wait."))
      yield* TestPool.adjust("1 second")
      yield* Fiber.interrupt(turn)
      assert.deepStrictEqual(
        records.map(({ attempts, outcome }) => [attempts, outcome]),
        [[1, "Interrupted"]]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("numbers every call: no two keys are equal, over turns and agents", () => {
    const steps = [{ calls: [1, 2, 3].map(() => ({ name: "shop__look", id: "same" })) }, "a", call("shop__look"), "b"]
    const one = recording(steps, {})
    const two = recording(steps, {})
    const both = Effect.forEach([one, two], ({ layer }) =>
      Effect.andThen(Agent.ask("1"), Agent.ask("2")).pipe(Effect.provide(layer, { local: true }))
    )
    return Effect.gen(function* () {
      yield* both
      const keys = [...one.records, ...two.records].map(({ idempotencyKey }) => idempotencyKey)
      assert.deepStrictEqual([keys.length, new Set(keys).size], [8, 8])
    })
  })
})
