import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Agent, OpenAiModel } from "@scoped-mcp/agent"
import { ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { ConfigProvider, Duration, Effect, Fiber, Layer, Redacted, Schema, Stream } from "effect"
import { LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import * as ChatServer from "./support/ChatServer.ts"

const connect = (server: { readonly baseUrl: string }, options: Partial<OpenAiModel.Options> = {}) =>
  Layer.provide(OpenAiModel.layer({ model: "test", baseUrl: server.baseUrl, ...options }), NodeHttpClient.layerUndici)

const apiKey = Redacted.make("sk-very-secret")

/** What the model says of a prompt, over a server that replies so. */
const generate = (
  reply: (asked: ChatServer.Asked, count: number) => ChatServer.Reply,
  options?: Partial<OpenAiModel.Options>
) =>
  Effect.gen(function* () {
    const server = yield* ChatServer.make(reply)
    const outcome = yield* Effect.result(
      Effect.provide(LanguageModel.generateText({ prompt: "Hello." }), connect(server, options))
    )
    return { server, outcome }
  })

const failure = (reply: ChatServer.Reply, options?: Partial<OpenAiModel.Options>) =>
  Effect.map(
    generate(() => reply, options),
    ({ outcome }) => {
      assert.strictEqual(outcome._tag, "Failure")
      return outcome._tag === "Failure" ? outcome.failure : assert.fail("it succeeded")
    }
  )

const streamed = (reply: ChatServer.Reply) =>
  Effect.gen(function* () {
    const server = yield* ChatServer.make(() => reply)
    return yield* LanguageModel.streamText({ prompt: "Hello.", toolkit: tools, disableToolCallResolution: true }).pipe(
      Stream.runCollect,
      Effect.provide(connect(server)),
      Effect.result
    )
  })

const weather = Tool.make("weather", {
  description: "Tells the weather.",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.String
})
const tools = Toolkit.make(weather)

describe("a request", () => {
  it.live("carries messages, tools, settings and the key, to the address under the base", () =>
    Effect.gen(function* () {
      const server = yield* ChatServer.make(() => ChatServer.message({ content: "Hi." }))
      const prompt = Prompt.fromMessages([
        Prompt.systemMessage({ content: "Be kind." }),
        Prompt.userMessage({
          content: [Prompt.textPart({ text: "Look." }), Prompt.filePart({ mediaType: "image/png", data: "aGk=" })]
        }),
        Prompt.assistantMessage({
          content: [
            Prompt.toolCallPart({ id: "c1", name: "weather", params: { city: "Bern" }, providerExecuted: false })
          ]
        }),
        Prompt.toolMessage({
          content: [
            Prompt.toolResultPart({
              id: "c1",
              name: "weather",
              isFailure: false,
              result: "x",
              providerExecuted: false,
              modelOutput: [
                Prompt.textPart({ text: "sunny" }),
                Prompt.filePart({ mediaType: "image/png", data: "aGk=" })
              ]
            })
          ]
        })
      ])
      const response = yield* LanguageModel.generateText({
        prompt,
        toolkit: tools,
        disableToolCallResolution: true
      }).pipe(Effect.provide(connect(server, { apiKey, settings: { temperature: 0 }, headers: { "x-org": "us" } })))
      assert.strictEqual(response.text, "Hi.")
      assert.deepInclude(response.usage.inputTokens, { total: 12, cacheRead: 4, uncached: 8 })
      const [asked] = server.asked
      assert.strictEqual(asked?.path, "/v1/chat/completions")
      assert.deepInclude(asked?.headers, { authorization: "Bearer sk-very-secret", "x-org": "us" })
      const image = { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } }
      assert.deepStrictEqual(asked?.body["messages"], [
        { role: "system", content: "Be kind." },
        { role: "user", content: [{ type: "text", text: "Look." }, image] },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } }]
        },
        { role: "tool", tool_call_id: "c1", content: "sunny\n[image/png omitted]" },
        {
          role: "user",
          content: [{ type: "text", text: "What the tool weather (call c1) has sent besides its text:" }, image]
        }
      ])
      assert.deepInclude(asked?.body, { model: "test", temperature: 0, tool_choice: "auto" })
      assert.deepNestedInclude(asked?.body, { "tools[0].function.name": "weather" })
    })
  )

  it.live("asks for an object by its schema, and reads it", () =>
    Effect.gen(function* () {
      const server = yield* ChatServer.make(() => ChatServer.message({ content: '{"city":"Bern"}' }))
      const { value } = yield* LanguageModel.generateObject({
        prompt: "Where?",
        schema: Schema.Struct({ city: Schema.String }),
        objectName: "place"
      }).pipe(Effect.provide(connect(server)))
      assert.deepStrictEqual(value, { city: "Bern" })
      assert.deepNestedInclude(server.asked[0]?.body, { "response_format.json_schema.name": "place" })
    })
  )

  it.live("is made as the environment says", () =>
    Effect.gen(function* () {
      const server = yield* ChatServer.make(() => ChatServer.message({ content: "Hi." }))
      const env = { OPENAI_MODEL: "m", OPENAI_BASE_URL: server.baseUrl, OPENAI_API_KEY: "sk-very-secret" }
      yield* LanguageModel.generateText({ prompt: "Hello." }).pipe(
        Effect.provide(Layer.provide(OpenAiModel.layerConfig, NodeHttpClient.layerUndici)),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
      )
      assert.strictEqual(server.asked[0]?.body["model"], "m")
      assert.strictEqual(server.asked[0]?.headers.authorization, "Bearer sk-very-secret")
    })
  )
})

describe("an answer", () => {
  const call = (fields: Record<string, unknown>) => ({ type: "function", ...fields })

  it.live("has calls in all the ways that servers write them", () =>
    Effect.gen(function* () {
      const server = yield* ChatServer.make(() =>
        ChatServer.message(
          {
            content: null,
            reasoning_content: "Hm.",
            tool_calls: [
              call({ id: "a", function: { name: "weather", arguments: '{"city":"Bern"}' } }),
              call({ id: "b", function: { name: "weather", arguments: { city: "Thun" } } })
            ]
          },
          "stop"
        )
      )
      const response = yield* LanguageModel.generateText({
        prompt: "Go.",
        toolkit: tools,
        disableToolCallResolution: true
      }).pipe(Effect.provide(connect(server)))
      assert.deepStrictEqual(
        response.toolCalls.map(({ id, params }) => [id, params]),
        [
          ["a", { city: "Bern" }],
          ["b", { city: "Thun" }]
        ]
      )
      assert.strictEqual(response.finishReason, "tool-calls")
      assert.strictEqual(response.reasoningText, "Hm.")
    })
  )

  it.live("names a call that its server has left without an id", () =>
    Effect.gen(function* () {
      const server = yield* ChatServer.make(() =>
        ChatServer.message(
          {
            tool_calls: [1, 2].map((index) =>
              call({ index, function: { name: "weather", arguments: '{"city":"Bern"}' } })
            )
          },
          "tool_calls"
        )
      )
      const { toolCalls } = yield* LanguageModel.generateText({
        prompt: "Go.",
        toolkit: tools,
        disableToolCallResolution: true
      }).pipe(Effect.provide(connect(server)))
      assert.strictEqual(new Set(toolCalls.map(({ id }) => id)).size, 2)
      for (const { id } of toolCalls) assert.notStrictEqual(id, "")
    })
  )
})

describe("a stream", () => {
  it.live("comes as text, reasoning and calls put together from their pieces", () =>
    Effect.gen(function* () {
      const piece = (index: number, fields: Record<string, unknown>) => ({ tool_calls: [{ index, ...fields }] })
      const outcome = yield* streamed({
        events: [
          ChatServer.delta({ role: "assistant", content: "" }),
          ChatServer.delta({ reasoning: "Hm." }),
          ChatServer.delta({ content: "One " }),
          ChatServer.delta({ content: "moment." }),
          ChatServer.delta(piece(0, { id: "a", function: { name: "weather", arguments: "" } })),
          ChatServer.delta(piece(0, { function: { arguments: '{"city":' } })),
          ChatServer.delta(piece(1, { id: "b", function: { name: "weather", arguments: '{"city":"Thun"}' } })),
          ChatServer.delta(piece(0, { function: { arguments: '"Bern"}' } })),
          ChatServer.delta({}, "tool_calls"),
          { id: "chatcmpl-1", choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } }
        ]
      })
      const parts = outcome._tag === "Success" ? outcome.success : assert.fail(String(outcome.failure))
      assert.strictEqual(parts.map((part) => (part.type === "text-delta" ? part.delta : "")).join(""), "One moment.")
      assert.deepStrictEqual(
        parts.flatMap((part) => (part.type === "tool-call" ? [part.params] : [])),
        [{ city: "Bern" }, { city: "Thun" }]
      )
      const last = parts.at(-1)
      assert.strictEqual(last?.type === "finish" ? last.reason : "", "tool-calls")
      assert.strictEqual(last?.type === "finish" ? last.usage.inputTokens.total : 0, 7)
    })
  )

  it.live("that is cut, or ends before its answer does, fails and may be asked for again", () =>
    Effect.gen(function* () {
      for (const ending of ["cut", "done"] as const) {
        const outcome = yield* streamed({ events: [ChatServer.delta({ content: "One " })], ending })
        const error = outcome._tag === "Failure" ? outcome.failure : assert.fail("it succeeded")
        assert.isTrue(error.isRetryable, ending)
      }
    })
  )

  it.live("that carries an error, or what is no JSON, fails", () =>
    Effect.gen(function* () {
      const failed = yield* streamed({
        events: [ChatServer.delta({ content: "One " }), { error: { message: "out of memory" } }]
      })
      assert.include(failed._tag === "Failure" ? failed.failure.message : "", "out of memory")
      const broken = yield* streamed({ events: ["{broken"] })
      assert.strictEqual(broken._tag === "Failure" ? broken.failure.reason._tag : "", "InvalidOutputError")
    })
  )

  it.live("is left with its connection when the reader leaves", () =>
    Effect.gen(function* () {
      const server = yield* ChatServer.make(() => ({
        events: [ChatServer.delta({ content: "One " })],
        ending: "silence"
      }))
      const gone = yield* Effect.forkChild(server.clientGone)
      yield* LanguageModel.streamText({ prompt: "Hello." }).pipe(
        Stream.takeUntil(({ type }) => type === "text-delta"),
        Stream.runDrain,
        Effect.provide(connect(server))
      )
      yield* Fiber.join(gone)
    })
  )
})

describe("a failure", () => {
  const error = (message: string, code: string) => ({ error: { message, code, type: "t" } })

  it.live("has the kind that its status means, and what the server says", () =>
    Effect.gen(function* () {
      const cases = [
        [400, error("too long", "context_length_exceeded"), "InvalidRequestError", false],
        [401, error("wrong key sk-very-secret", "invalid_api_key"), "AuthenticationError", false],
        [403, "<html>no</html>", "AuthenticationError", false],
        [404, { error: "model not found" }, "InvalidRequestError", false],
        [429, error("pay first", "insufficient_quota"), "QuotaExhaustedError", false],
        [429, [error("slow down", "rate_limit")], "RateLimitError", true],
        [500, "", "InternalProviderError", true],
        [503, { detail: "loading" }, "InternalProviderError", true]
      ] as const
      for (const [status, json, tag, retryable] of cases) {
        const failed = yield* failure({ status, json }, { apiKey })
        assert.deepStrictEqual([failed.reason._tag, failed.isRetryable], [tag, retryable], String(status))
        assert.notInclude(JSON.stringify(failed), "sk-very-secret")
        assert.notInclude(failed.message, "sk-very-secret")
      }
      assert.include((yield* failure({ status: 400, json: error("too long", "c") })).message, "too long")
    })
  )

  it.live("says when to come back, in every way that servers say it", () =>
    Effect.gen(function* () {
      const date = new Date(Date.now() + 60_000).toUTCString()
      const cases: ReadonlyArray<readonly [number, Record<string, string>, number]> = [
        [429, { "retry-after": "20" }, 20_000],
        [429, { "retry-after-ms": "250", "retry-after": "1" }, 250],
        [503, { "retry-after": "3" }, 3_000],
        [429, { "retry-after": date }, 60_000]
      ]
      for (const [status, headers, millis] of cases) {
        const { retryAfter } = yield* failure({ status, headers, json: error("slow down", "rate_limit") })
        assert.approximately(Duration.toMillis(retryAfter ?? Duration.zero), millis, 2_000)
      }
    })
  )

  it.live("of a server that is not there, says nothing, or nothing useful", () =>
    Effect.gen(function* () {
      const refused = yield* LanguageModel.generateText({ prompt: "Hello." }).pipe(
        Effect.provide(connect({ baseUrl: "http://127.0.0.1:1/v1" })),
        Effect.flip
      )
      assert.deepStrictEqual([refused.reason._tag, refused.isRetryable], ["NetworkError", true])
      const silent = yield* failure("hang", { timeout: "200 millis" })
      assert.include(silent.message, "nothing was heard for 200ms")
      assert.strictEqual((yield* failure({ json: { choices: [] } })).reason._tag, "InvalidOutputError")
      assert.strictEqual((yield* failure({ json: "not json" })).reason._tag, "InvalidOutputError")
    })
  )
})

it.live("carries an agent: a rate limit, a call, a streamed answer", () =>
  Effect.gen(function* () {
    const search = ScriptedServer.tool({ name: "search", handler: () => Effect.succeed("two books") })
    const library = ScriptedServer.make({ name: "library", tools: [search] })
    const server = yield* ChatServer.make(({ body }, count) => {
      if (count === 1)
        return { status: 429, headers: { "retry-after-ms": "20" }, json: { error: { message: "slow down" } } }
      const messages = body["messages"] as ReadonlyArray<{ readonly role: string; readonly content: string }>
      const last = messages.at(-1)
      return last?.role === "tool"
        ? { events: [ChatServer.delta({ content: `There are ${last.content}.` }), ChatServer.delta({}, "stop")] }
        : {
            events: [
              ChatServer.delta({
                tool_calls: [{ index: 0, id: "a", function: { name: "library__search", arguments: "{}" } }]
              }),
              ChatServer.delta({}, "tool_calls")
            ]
          }
    })
    const layer = Agent.layer().pipe(Layer.provide([connect(server), TestPool.layer({ servers: { library } })]))
    const events = yield* Effect.provide(Stream.runCollect(Agent.stream("How many?")), layer)
    const last = events.at(-1)
    assert.strictEqual(last?._tag === "TurnEnded" ? last.turn.text : "", "There are two books.")
    assert.strictEqual(server.asked.length, 3)
  })
)

it.live("carries an agent whose stream breaks off: what was said is withdrawn, and asked for again", () =>
  Effect.gen(function* () {
    const server = yield* ChatServer.make((_, count) =>
      count === 1
        ? { events: [ChatServer.delta({ content: "Half an " })], ending: "cut" }
        : { events: [ChatServer.delta({ content: "A whole answer." }), ChatServer.delta({}, "stop")] }
    )
    const layer = Agent.layer().pipe(Layer.provide([connect(server), TestPool.layer({ servers: {} })]))
    const events = yield* Effect.provide(Stream.runCollect(Agent.stream("Go.")), layer)
    assert.deepStrictEqual(
      events.map(({ _tag }) => _tag),
      ["TurnStarted", "TextDelta", "TextWithdrawn", "TextDelta", "StepEnded", "TurnEnded"]
    )
  })
)
