import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, it } from "@effect/vitest"
import { Agent, ScriptedModel } from "@scoped-mcp/agent"
import { HttpDispatcher, ProcessOwner } from "@scoped-mcp/core"
import { Fault, FaultyServer, Journal, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import { LanguageModel, Prompt } from "effect/ai"
import { agent } from "./support/agents.ts"

const write = ScriptedServer.tool({
  name: "write",
  arguments: Schema.Struct({ n: Schema.Finite }),
  handler: ({ n }) => Effect.succeed(`wrote ${n}`)
})
const notes = ScriptedServer.make({ name: "notes", tools: [write] })

const none = { total: undefined, uncached: undefined, cacheRead: undefined, cacheWrite: undefined }
const usage = { inputTokens: none, outputTokens: { total: undefined, text: undefined, reasoning: undefined } }

/** A scripted model keeps what it was asked; this one does not. */
const forgetful = Layer.effect(
  LanguageModel.LanguageModel,
  LanguageModel.make({
    generateText: () => Effect.succeed([{ type: "finish", reason: "stop", response: undefined, usage }]),
    streamText: () => Stream.empty
  })
)

it.effect("the conversation can be collected when the scope has closed, though the agent is still held", () =>
  Effect.gen(function* () {
    setFlagsFromString("--expose-gc")
    const gc = runInNewContext("gc") as () => void
    const { message, service } = yield* Effect.scoped(
      Effect.gen(function* () {
        const service = yield* Agent.make()
        const message = Prompt.userMessage({ content: [Prompt.textPart({ text: "x".repeat(1000) })] })
        yield* service.ask([message])
        return { service, message: new WeakRef((yield* service.history).content[0]!) }
      }).pipe(Effect.provide([forgetful, TestPool.layer({ servers: { notes } })]))
    )
    for (let round = 0; round < 5 && message.deref() !== undefined; round++) {
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      gc()
    }
    assert.isUndefined(message.deref())
    assert.deepStrictEqual((yield* service.history).content, [])
  })
)

it.effect("model and servers are one line", () => {
  const { source } = ScriptedServer.inMemory(notes)
  const model = ScriptedModel.make([
    { calls: [{ name: "notes__write", arguments: { n: 1 } }] },
    ({ results }) => results[0]?.text ?? ""
  ])
  const noPlatform = Layer.mergeAll(
    Layer.succeed(ProcessOwner.ProcessOwner, {
      added: () => ({}),
      killAll: () => {},
      spawn: () => Effect.die("no process")
    }),
    Layer.succeed(HttpDispatcher.HttpDispatcher, {
      dispatch: () => () => {},
      fetch: () => Promise.reject(new Error("none"))
    })
  )
  return Effect.gen(function* () {
    const asked = Agent.ask("Write.").pipe(
      Effect.provide(Agent.layerServers({ model: model.layer, servers: { notes: source } }))
    )
    assert.strictEqual(yield* Effect.provide(asked, noPlatform), "wrote 1")
  })
})

it.effect("agents over a server that comes and goes answer every turn, and nothing that writes runs twice", () => {
  const flapping = FaultyServer.make(notes, [Fault.flapping({ calls: 3, down: "2 seconds" })])
  const turns = 12
  // In each turn two calls at the same time; what may have run the model leaves alone, what was not sent it asks for again.
  const steps = Array.from({ length: turns }, (_, turn) => [
    { calls: [0, 1].map((n) => ({ name: "notes__write", arguments: { n: turn * 2 + n } })) },
    "done"
  ]).flat()
  return Effect.gen(function* () {
    const service = yield* Agent.Agent
    const asking = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: turns }), () =>
        Effect.tap(service.turn("Write."), () => Effect.sleep("30 seconds"))
      )
    )
    yield* TestPool.adjust("10 minutes")
    const ended = yield* Fiber.join(asking)
    assert.strictEqual(ended.length, turns)
    const { journal } = yield* TestPool.server("notes")
    const entries = yield* journal.entries
    assert.deepStrictEqual(Journal.repeated(entries), [])
    const answered = ended.flatMap(({ calls }) => calls).filter(({ outcome }) => outcome === "Answered").length
    assert.strictEqual(Journal.executions(entries), answered)
    assert.isAbove(entries.filter(({ _tag }) => _tag === "SessionOpened").length, 3)
  }).pipe(Effect.provide(agent(ScriptedModel.make(steps), { notes: flapping })))
})
