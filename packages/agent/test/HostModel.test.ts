import { assert, describe, it } from "@effect/vitest"
import { HostModel, ScriptedModel } from "@scoped-mcp/agent"
import { HostHandlers, McpPool } from "@scoped-mcp/core"
import { Script, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Effect, Fiber, Layer } from "effect"
import { AiError } from "effect/ai"

type Asked = Parameters<HostHandlers.Sampling["Service"]["createMessage"]>[0]

const question = (text: string, fields: Partial<Asked> = {}): Asked => ({
  messages: [{ role: "user", content: { type: "text", text } }],
  maxTokens: 100,
  ...fields
})

/** What a server gets that asks the model. */
const sample = (
  model: ScriptedModel.ScriptedModel,
  options: HostModel.SamplingOptions,
  asked: ReadonlyArray<Asked>,
  server = "summaries"
) =>
  Effect.gen(function* () {
    const { createMessage } = yield* HostHandlers.Sampling
    return yield* Effect.forEach(asked, (request) =>
      Effect.match(createMessage(request, { server }), {
        onFailure: ({ text }) => `refused: ${text}`,
        onSuccess: ({ content, stopReason }) =>
          `${stopReason ?? ""}: ${!Array.isArray(content) && content.type === "text" ? content.text : ""}`
      })
    )
  }).pipe(Effect.provide(Layer.provide(HostModel.layerSampling(options), model.layer), { local: true }))

const all = { servers: ["*"] }

describe("sampling", () => {
  it.effect("is answered by the model, which gets what the server sent and no more", () => {
    const model = ScriptedModel.make(["In short: whales."])
    return Effect.gen(function* () {
      const request = question("Summarise.", { systemPrompt: "Be brief.", temperature: 0 })
      assert.deepStrictEqual(yield* sample(model, all, [request]), ["endTurn: In short: whales."])
      const [seen] = model.requests()
      assert.deepStrictEqual(seen?.tools, [])
      assert.deepStrictEqual(
        seen?.prompt.content.map(({ role }) => role),
        ["system", "user"]
      )
    })
  })

  it.effect("is refused to servers that may not ask, and beyond the budget of each", () =>
    Effect.gen(function* () {
      const model = ScriptedModel.make(["one", "two"])
      const options = { servers: ["sum*"], budget: { requests: 1 } }
      assert.deepStrictEqual(yield* sample(model, options, [question("a")], "other"), [
        "refused: This server may not ask the model."
      ])
      assert.deepStrictEqual(yield* sample(model, options, [question("a"), question("b")]), [
        "endTurn: one",
        "refused: This server has asked the model as much as it may."
      ])
      assert.strictEqual(model.requests().length, 1)
      const tokens = { servers: ["*"], budget: { tokens: 1 } }
      assert.include((yield* sample(model, tokens, [question("a"), question("b")]))[1], "as much as it may")
    })
  )

  it.effect("is looked at before the model sees it, and before the server sees the answer", () =>
    Effect.gen(function* () {
      const model = ScriptedModel.make(["the secret is 42"])
      const no = { ...all, approve: () => Effect.succeed({ approved: false as const, reason: "not now" }) }
      assert.deepStrictEqual(yield* sample(model, no, [question("a")]), ["refused: not now"])
      const broken = { ...all, approve: () => Effect.die("bug") }
      assert.deepStrictEqual(yield* sample(model, broken, [question("a")]), ["refused: The host does not allow this."])
      assert.strictEqual(model.requests().length, 0)
      const review = (_: HostModel.Question, answer: string) =>
        Effect.succeed({ approved: !answer.includes("secret"), reason: "it tells" })
      assert.deepStrictEqual(yield* sample(model, { ...all, review }, [question("a")]), ["refused: it tells"])
    })
  )

  it.effect("is cut at maxTokens, refused with tools in it, and when the model fails, without its words", () => {
    const fail = new AiError.AuthenticationError({ kind: "InvalidKey", description: "sk-secret" })
    const model = ScriptedModel.make(["x".repeat(100), { fail }])
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* sample(model, all, [question("a", { maxTokens: 5 })]), [
        `maxTokens: ${"x".repeat(20)}`
      ])
      assert.deepStrictEqual(yield* sample(model, all, [question("a")]), ["refused: The model did not answer."])
      const tool = {
        role: "assistant" as const,
        content: [{ type: "tool_use" as const, id: "1", name: "a", input: {} }]
      }
      assert.include((yield* sample(model, all, [question("a", { messages: [tool] })]))[0], "with tools")
    })
  })

  it.effect("ends at its timeout", () => {
    const model = ScriptedModel.make([{ text: "late", after: "10 minutes" }])
    return Effect.gen(function* () {
      const asking = yield* Effect.forkChild(sample(model, { ...all, timeout: "1 minute" }, [question("a")]))
      yield* TestPool.adjust("2 minutes")
      assert.deepStrictEqual(yield* Fiber.join(asking), ["refused: The host did not answer in time."])
    })
  })
})

describe("elicitation", () => {
  const form = (name: string) => ({
    message: "Which?",
    requestedSchema: { type: "object" as const, properties: { [name]: { type: "string" as const } } }
  })
  const ask = (options: HostModel.ElicitationOptions, name: string, server = "deploy") =>
    Effect.gen(function* () {
      const elicitation = yield* HostHandlers.Elicitation
      return yield* Effect.match(elicitation.form!(form(name), { server }), {
        onFailure: ({ text }) => text,
        onSuccess: ({ action }) => action
      })
    }).pipe(Effect.provide(HostModel.layerElicitation(options), { local: true }))
  const yes = { servers: ["deploy"], form: () => Effect.succeed({ action: "accept" as const, content: {} }) }

  it.effect("is answered by a person, unless the server may not ask, or asks for a secret", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask(yes, "region"), "accept")
      assert.include(yield* ask(yes, "region", "other"), "may not ask")
      assert.include(yield* ask(yes, "api_key"), "may not ask for a secret")
    })
  )

  it.effect("is cancelled when nobody answers", () =>
    Effect.gen(function* () {
      const asking = yield* Effect.forkChild(ask({ servers: ["*"], form: () => Effect.never }, "region"))
      yield* TestPool.adjust("6 minutes")
      assert.strictEqual(yield* Fiber.join(asking), "cancel")
    })
  )

  it.effect("leads to https alone, and is offered only where there is somebody", () =>
    Effect.gen(function* () {
      const options = { servers: ["*"], url: () => Effect.succeed({ action: "accept" as const }) }
      const { form, url } = yield* Effect.provide(HostHandlers.Elicitation, HostModel.layerElicitation(options))
      assert.isUndefined(form)
      const go = (address: string) =>
        Effect.match(url!({ mode: "url", message: "Go.", url: address }, { server: "a" }), {
          onFailure: ({ text }) => text,
          onSuccess: ({ action }) => action
        })
      assert.strictEqual(yield* go("https://example.com/login"), "accept")
      assert.strictEqual(yield* go("javascript:alert(1)"), "The address is not https.")
    })
  )
})

it.effect("a server of the pool asks the model, and gets its answer", () => {
  const model = ScriptedModel.make(["In short: whales."])
  const asks = { jsonrpc: "2.0", id: "q1", method: "sampling/createMessage", params: question("Summarise.") }
  const script = [Script.handshake, Script.send(asks)]
  const summaries = ScriptedServer.make({ name: "summaries", eras: ["2025"], script })
  const layer = Layer.provide(
    TestPool.layer({ servers: { summaries } }),
    Layer.provide(HostModel.layerSampling({ servers: ["summaries"] }), model.layer)
  )
  return Effect.gen(function* () {
    const pool = yield* McpPool.McpPool
    const { journal } = yield* TestPool.server("summaries")
    yield* Effect.forkChild(pool.warmup())
    const answer = yield* journal.first((entry) => entry._tag === "FrameReceived" && entry.frame["id"] === "q1")
    assert.include(JSON.stringify(answer), "In short: whales.")
  }).pipe(Effect.provide(layer))
})
