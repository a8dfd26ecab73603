import { assert, describe, it } from "@effect/vitest"
import { AgentError, ConfigError, openPool } from "@scoped-mcp/handle"
import { Effect, Fiber } from "effect"
import * as OpenAi from "../../agent/test/support/ChatServer.ts"
import { serverScript } from "./host.ts"

const configuration = {
  servers: {
    one: { command: process.execPath, args: [serverScript] },
    bad: { command: "no-such-program" }
  }
}

const echo = OpenAi.message(
  {
    content: null,
    tool_calls: [
      {
        id: "call_1",
        type: "function",
        function: { name: "one__echo", arguments: JSON.stringify({ text: "from the tool" }) }
      }
    ]
  },
  "tool_calls"
)

const said = (asked: OpenAi.Asked) => JSON.stringify(asked.body["messages"])

const rejected = (promise: Promise<unknown>) =>
  Effect.promise(() =>
    promise.then(
      () => assert.fail("it was not rejected"),
      (error: unknown) => error
    )
  )

const pool = (baseUrl: string) =>
  Effect.acquireRelease(
    Effect.promise(() => openPool(configuration, { model: { baseUrl, model: "test", apiKey: "sk-secret" } })),
    (pool) => Effect.promise(() => pool.close())
  )

describe("ask", () => {
  it.live("gives the model the tools of the pool, makes its calls and returns its answer", () =>
    Effect.gen(function* () {
      const api = yield* OpenAi.make((asked, count) =>
        count === 1 ? echo : OpenAi.message({ content: said(asked).includes("from the tool") ? "It works." : "?" })
      )
      const open = yield* pool(api.baseUrl)
      assert.strictEqual(
        yield* Effect.promise(() => open.ask("Does it work?", { instructions: "Be brief." })),
        "It works."
      )
      assert.strictEqual(api.asked[0]?.headers.authorization, "Bearer sk-secret")
      assert.include(JSON.stringify(api.asked[0]?.body["tools"]), "one__echo")
      assert.include(said(api.asked[0]!), "Be brief.")
      // The one that cannot be had is skipped, and the model told.
      assert.include(said(api.asked[0]!), "bad")
    })
  )

  it.live("begins anew each time, and goes on in a chat until that is closed", () =>
    Effect.gen(function* () {
      const api = yield* OpenAi.make((_, count) => OpenAi.message({ content: `answer ${count}` }))
      const open = yield* pool(api.baseUrl)
      yield* Effect.promise(() => open.ask("My name is Ann."))
      yield* Effect.promise(() => open.ask("What is my name?"))
      assert.notInclude(said(api.asked[1]!), "Ann")
      const chat = yield* Effect.promise(() => open.chat())
      yield* Effect.promise(() => chat.ask("My name is Bob."))
      assert.strictEqual(yield* Effect.promise(() => chat.ask("What is my name?")), "answer 4")
      assert.include(said(api.asked[3]!), "Bob")
      yield* Effect.promise(() => chat.close())
      const error = yield* rejected(chat.ask("Still there?"))
      assert.isTrue(error instanceof AgentError && error.reason === "AgentClosed")
      // It ends with its pool as well.
      const other = yield* Effect.promise(() => open.chat())
      yield* Effect.promise(() => open.close())
      const after = yield* rejected(other.ask("Still there?"))
      assert.isTrue(after instanceof AgentError && after.reason === "AgentClosed")
    })
  )

  it.live("is rejected with the reason of its signal, and with AgentError when the model fails", () =>
    Effect.gen(function* () {
      const controller = new AbortController()
      const why = new Error("enough")
      const api = yield* OpenAi.make((_, count) => {
        if (count > 1) return { status: 400, json: { error: { message: "no such model" } } }
        setImmediate(() => controller.abort(why))
        return "hang"
      })
      const open = yield* pool(api.baseUrl)
      const gone = yield* Effect.forkChild(api.clientGone, { startImmediately: true })
      assert.strictEqual(yield* rejected(open.ask("Are you there?", { signal: controller.signal })), why)
      yield* Fiber.join(gone)
      const error = yield* rejected(open.ask("Which model is this?"))
      assert.isTrue(error instanceof AgentError && error.reason === "ModelFailed")
      assert.include(String(error), "no such model")
    })
  )

  it("says which variable is missing", async () => {
    await using open = await openPool({ servers: {} }, { model: { model: "" } })
    const error = await open.ask("Hello").then(
      () => undefined,
      (error: unknown) => error
    )
    assert.isTrue(error instanceof ConfigError && error.problems[0]?.path === "OPENAI_MODEL")
  })
})

describe("tools for an agent SDK", () => {
  it("have names and schemas that models take, and answer with text", async () => {
    await using open = await openPool(configuration)
    const { skipped, tools } = await open.agentTools()
    assert.deepStrictEqual(
      skipped.map(({ server }) => server),
      ["bad"]
    )
    const echo = tools.find(({ name }) => name === "one__echo")!
    assert.deepInclude(echo, { server: "one", tool: "echo" })
    assert.strictEqual(echo.inputSchema["type"], "object")
    assert.strictEqual(await echo.call({ text: "hello" }), "hello")
    const failed = await tools.find(({ tool }) => tool === "fail")!.call({})
    assert.include(failed, "it failed on purpose")
    assert.strictEqual((JSON.parse(failed) as { error: string }).error, "ToolError")
  })

  it("are cancelled by their signal", async () => {
    await using open = await openPool(configuration)
    const { tools } = await open.agentTools({ servers: ["one"] })
    const controller = new AbortController()
    const why = new Error("enough")
    const running = tools.find(({ tool }) => tool === "hang")!.call({ name: "a" }, { signal: controller.signal })
    setImmediate(() => controller.abort(why))
    assert.strictEqual(await running.catch((error: unknown) => error), why)
  })
})
