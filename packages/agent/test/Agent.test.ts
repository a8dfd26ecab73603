import { assert, describe, it } from "@effect/vitest"
import { Agent, type AgentEvent, ScriptedModel } from "@scoped-mcp/agent"
import { Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Clock, Duration, Effect, Fiber, Schema, Stream } from "effect"
import { AiError, Prompt } from "effect/ai"
import { agent, call } from "./support/agents.ts"

const search = ScriptedServer.tool({
  name: "search",
  arguments: Schema.Struct({ query: Schema.String }),
  annotations: { readOnlyHint: true },
  handler: ({ query }) => Effect.succeed(`two books on ${query}`)
})
const slow = ScriptedServer.tool({
  name: "slow",
  arguments: Schema.Struct({ n: Schema.Finite }),
  handler: ({ n }, { progress }) =>
    Effect.gen(function* () {
      yield* progress(n, 10, `at ${n}`)
      yield* Effect.sleep("1 second")
      return `done ${n}`
    })
})
const library = ScriptedServer.make({ name: "library", tools: [search, slow] })
const servers = { library }

const executions = Effect.gen(function* () {
  const { journal } = yield* TestPool.server("library")
  return Journal.executions(yield* journal.entries)
})

const tags = (events: ReadonlyArray<AgentEvent.AgentEvent>) => events.map(({ _tag }) => _tag)

describe("Agent", () => {
  it.effect("asks the model, makes the calls it wants, and answers", () => {
    const model = ScriptedModel.make([
      call("library__search", { query: "whales" }),
      ({ results }) => `Found: ${results.map(({ text }) => text).join()}`
    ])
    return Effect.gen(function* () {
      assert.strictEqual(yield* Agent.ask("What is there on whales?"), "Found: two books on whales")
      assert.strictEqual(yield* executions, 1)
      assert.deepStrictEqual(model.requests()[0]?.tools, ["library__search", "library__slow"])
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("tells what it did: steps, calls, tokens", () => {
    const model = ScriptedModel.make([call("library__search", { query: "whales" }), "two"])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const turn = yield* service.turn("How many?")
      assert.deepInclude(turn, { turn: 1, steps: 2, text: "two", skipped: [] })
      assert.deepInclude(turn.calls[0], {
        server: "library",
        tool: "search",
        outcome: "Answered",
        attempts: 1,
        turn: 1
      })
      assert.isAbove(turn.usage.inputTokens, 0)
      assert.deepStrictEqual(yield* service.usage, turn.usage)
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("remembers the conversation, and puts its instructions before it", () => {
    const model = ScriptedModel.make(["Hello Ada.", "You are Ada."])
    const history = [{ role: "user" as const, content: "We met before." }]
    return Effect.gen(function* () {
      yield* Agent.ask("I am Ada.")
      yield* Agent.ask("Who am I?")
      const texts = JSON.stringify(model.requests()[1]?.prompt)
      for (const text of ["Be brief.", "We met before.", "I am Ada.", "Hello Ada.", "Who am I?"])
        assert.include(texts, text)
      const { history } = yield* Agent.Agent
      assert.deepStrictEqual(
        (yield* history).content.map(({ role }) => role),
        ["user", "user", "assistant", "user", "assistant"]
      )
    }).pipe(Effect.provide(agent(model, servers, { instructions: "Be brief.", history })))
  })

  it.effect("runs the calls of one answer at the same time, as many as concurrency allows", () => {
    const calls = [1, 2, 3, 4].map((n) => ({ name: "library__slow", arguments: { n } }))
    const model = ScriptedModel.make([{ calls }, "done"])
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Effect.andThen(Agent.ask("All."), Clock.currentTimeMillis))
      yield* TestPool.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(turn), 2000)
    }).pipe(Effect.provide(agent(model, servers, { concurrency: 2 })))
  })

  it.effect("keeps to the pool's own limits as well", () => {
    const calls = [1, 2, 3].map((n) => ({ name: "library__slow", arguments: { n } }))
    const model = ScriptedModel.make([{ calls }, "done"])
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Effect.andThen(Agent.ask("All."), Clock.currentTimeMillis))
      yield* TestPool.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(turn), 3000)
    }).pipe(Effect.provide(agent(model, servers, {}, { maxConcurrency: 1 })))
  })

  it.effect("streams text, calls, progress and steps in their order", () => {
    const model = ScriptedModel.make([
      { text: "One moment.", ...(call("library__slow", { n: 3 }) as object) },
      "It is done."
    ])
    return Effect.gen(function* () {
      const collected = yield* Effect.forkChild(Stream.runCollect(Agent.stream("Do it.")))
      yield* TestPool.adjust("5 seconds")
      const events = yield* Fiber.join(collected)
      assert.deepStrictEqual(tags(events), [
        "TurnStarted",
        "TextDelta",
        "TextDelta",
        "StepEnded",
        "ToolCallStarted",
        "ToolCallProgress",
        "ToolCallEnded",
        "TextDelta",
        "TextDelta",
        "TextDelta",
        "StepEnded",
        "TurnEnded"
      ])
      const last = events.at(-1)
      assert.strictEqual(last?._tag === "TurnEnded" ? last.turn.text : "", "It is done.")
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("is interrupted by a reader who leaves, and has the call cancelled", () => {
    const model = ScriptedModel.make([call("library__slow", { n: 1 }), "never"])
    return Effect.gen(function* () {
      const { journal } = yield* TestPool.server("library")
      yield* Agent.stream("Do it.").pipe(
        Stream.takeUntil(({ _tag }) => _tag === "ToolCallProgress"),
        Stream.runDrain
      )
      yield* journal.first(({ _tag }) => _tag === "RequestCancelled")
      assert.strictEqual(model.requests().length, 1)
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("has one turn at a time", () => {
    const model = ScriptedModel.make([{ text: "first", after: "1 second" }, "second"])
    return Effect.gen(function* () {
      const turns = yield* Effect.forkChild(
        Effect.forEach(["1", "2"], (text) => Agent.ask(text), { concurrency: "unbounded" })
      )
      yield* TestPool.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(turns), ["first", "second"])
      assert.strictEqual(model.requests()[1]?.prompt.content.length, 3)
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("ends a turn after maxSteps, with what was done on record", () => {
    const again = call("library__search", { query: "whales" })
    const model = ScriptedModel.make([again, again, again])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const { reason } = yield* Effect.flip(service.ask("Go on."))
      assert.strictEqual(reason._tag, "StepLimit")
      assert.strictEqual(yield* executions, 2)
      assert.strictEqual((yield* service.history).content.length, 5)
    }).pipe(Effect.provide(agent(model, servers, { maxSteps: 2 })))
  })

  it.effect("asks a model again that fails for a while, as late as it wishes, and runs no tool for it", () => {
    const limited = { fail: new AiError.RateLimitError({ retryAfter: Duration.seconds(20) }) }
    const model = ScriptedModel.make([limited, call("library__search", { query: "whales" }), limited, "two"])
    return Effect.gen(function* () {
      const turn = yield* Effect.forkChild(Effect.andThen(Agent.ask("How many?"), Clock.currentTimeMillis))
      yield* TestPool.adjust("2 minutes")
      assert.isAtLeast(yield* Fiber.join(turn), 40_000)
      assert.strictEqual(yield* executions, 1)
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("does not ask again what cannot help, nor more often than modelRetries; nothing is remembered", () => {
    const refused = { fail: new AiError.AuthenticationError({ kind: "InvalidKey" }) }
    const down = { fail: new AiError.InternalProviderError({ description: "down" }) }
    const model = ScriptedModel.make([refused, down, down, down, "never"])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const first = (yield* Effect.flip(service.ask("One."))).reason
      assert.deepInclude(first, { _tag: "ModelFailed", attempts: 1 })
      const turn = yield* Effect.forkChild(Effect.flip(service.ask("Two.")))
      yield* TestPool.adjust("1 minute")
      assert.deepInclude((yield* Fiber.join(turn)).reason, { _tag: "ModelFailed", attempts: 3 })
      assert.deepStrictEqual((yield* service.history).content, [])
    }).pipe(Effect.provide(agent(model, servers, { modelRetries: 2 })))
  })

  it.effect("runs no call of an answer that was cut", () => {
    const cut: ScriptedModel.Step = {
      text: "I shall",
      calls: [{ name: "library__search", arguments: { query: "wha" } }],
      finish: "length"
    }
    return Effect.gen(function* () {
      const { reason } = yield* Effect.flip(Agent.ask("Go."))
      assert.deepInclude(reason, { _tag: "ModelStopped", why: "length", text: "I shall" })
      assert.strictEqual(yield* executions, 0)
    }).pipe(Effect.provide(agent(ScriptedModel.make([cut]), servers)))
  })

  it.effect("tells a model that calls what is not there, or with what is no object, and goes on", () => {
    const model = ScriptedModel.make([
      {
        calls: [
          { name: "library__serch", arguments: {} },
          { name: "library__search", arguments: "{broken" },
          { name: "library__search", arguments: { wrong: 1 } }
        ]
      },
      ({ results }) => results.map(({ isFailure, text }) => `${String(isFailure)} ${text}`).join("\n")
    ])
    return Effect.gen(function* () {
      const answer = (yield* Agent.ask("Go.")).split("\n")
      assert.include(answer[0], "Did you mean library__search")
      assert.include(answer[1], "not a JSON object")
      assert.include(answer[2], "true")
      assert.strictEqual(yield* executions, 0)
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("takes messages as well as a text", () => {
    const model = ScriptedModel.make(["seen"])
    return Effect.gen(function* () {
      const image = Prompt.filePart({ mediaType: "image/png", data: "aGk=" })
      yield* Agent.ask([Prompt.userMessage({ content: [Prompt.textPart({ text: "What is it?" }), image] })])
      assert.include(JSON.stringify(model.requests()[0]?.prompt), "image/png")
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("shows each call on its audit stream", () => {
    const model = ScriptedModel.make([call("library__search", { query: "whales" }), "two"])
    return Effect.gen(function* () {
      const service = yield* Agent.Agent
      const audit = yield* Effect.forkChild(Stream.runCollect(Stream.take(service.audit, 1)))
      yield* TestPool.adjust("100 millis")
      yield* service.ask("How many?")
      const [record] = yield* Fiber.join(audit)
      assert.deepInclude(record, { tool: "search", arguments: { query: "whales" } })
      assert.match(record?.idempotencyKey ?? "", new RegExp(`^${service.id}-1-1$`))
    }).pipe(Effect.provide(agent(model, servers)))
  })

  it.effect("keeps tenants apart, side by side: servers, conversations, budgets", () => {
    const tenant = (name: string) => {
      const model = ScriptedModel.make([
        call("library__search", { query: name }),
        ({ results }) => results[0]?.text ?? ""
      ])
      return Effect.gen(function* () {
        const service = yield* Agent.Agent
        const answer = yield* service.ask(name)
        return { answer, id: service.id, runs: yield* executions, history: JSON.stringify(yield* service.history) }
      }).pipe(
        Effect.provide(agent(model, servers, { policy: { budget: { agent: { calls: 1 } } } }, { namespace: name }), {
          local: true
        })
      )
    }
    return Effect.gen(function* () {
      const names = ["ada", "bob", "cyd"]
      const outcomes = yield* Effect.forEach(names, tenant, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        outcomes.map(({ answer, runs }) => [answer, runs]),
        names.map((name) => [`two books on ${name}`, 1])
      )
      assert.strictEqual(new Set(outcomes.map(({ id }) => id)).size, 3)
      assert.notInclude(outcomes[0]?.history, "bob")
    })
  })
})
