import { assert, describe, it } from "@effect/vitest"
import { McpToolkit, ToolDefinitions } from "@scoped-mcp/agent"
import { ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Effect, Schema } from "effect"

const draw = ScriptedServer.tool({
  name: "draw",
  description: "Draws.",
  arguments: Schema.Struct({ what: Schema.String }),
  handler: ({ what }) =>
    what === "nothing"
      ? Effect.fail(new Error("nothing to draw"))
      : Effect.succeed({
          content: [
            { type: "text" as const, text: `a ${what}` },
            { type: "image" as const, data: "aGk=", mimeType: "image/png" }
          ]
        })
})
const studio = ScriptedServer.make({ name: "studio", tools: [draw] })
const name = "studio__draw"
const args = { what: "whale" }
const layer = TestPool.layer({ servers: { studio } })

describe("ToolDefinitions", () => {
  it.effect("are the same tools in the form of each API", () =>
    Effect.gen(function* () {
      const toolkit = yield* McpToolkit.make()
      const [{ description, inputSchema }] = toolkit.definitions as [McpToolkit.Definition]
      assert.strictEqual(description, "Draws.")
      assert.deepStrictEqual(ToolDefinitions.openAiResponses(toolkit), [
        { type: "function", name, description, parameters: inputSchema, strict: false }
      ])
      assert.deepStrictEqual(ToolDefinitions.openAiChat(toolkit), [
        { type: "function", function: { name, description, parameters: inputSchema } }
      ])
      assert.deepStrictEqual(ToolDefinitions.anthropic(toolkit), [
        { name, description, input_schema: { ...inputSchema, type: "object" } }
      ])
      assert.deepStrictEqual(ToolDefinitions.gemini(toolkit), [
        { functionDeclarations: [{ name, description, parametersJsonSchema: inputSchema }] }
      ])
      const jsonSchema = (schema: object) => ({ jsonSchema: schema })
      assert.deepStrictEqual(ToolDefinitions.vercel(toolkit, jsonSchema), {
        [name]: { description, inputSchema: { jsonSchema: inputSchema } }
      })
      assert.strictEqual(JSON.stringify(toolkit.definitions), JSON.stringify(structuredClone(toolkit.definitions)))
    }).pipe(Effect.provide(layer))
  )

  it.effect("have one dispatcher, which replies in the form of the call", () =>
    Effect.gen(function* () {
      const toolkit = yield* McpToolkit.make()
      const text = "a whale\n[image/png omitted]"
      assert.deepStrictEqual(
        yield* ToolDefinitions.dispatch(toolkit, {
          type: "function_call",
          call_id: "c",
          name,
          arguments: JSON.stringify(args)
        }),
        { type: "function_call_output", call_id: "c", output: text }
      )
      assert.deepStrictEqual(
        yield* ToolDefinitions.dispatch(toolkit, {
          id: "c",
          type: "function",
          function: { name, arguments: JSON.stringify(args) }
        }),
        { role: "tool", tool_call_id: "c", content: text }
      )
      assert.deepStrictEqual(
        yield* ToolDefinitions.dispatch(toolkit, { type: "tool_use", id: "c", name, input: args }),
        {
          type: "tool_result",
          tool_use_id: "c",
          content: [
            { type: "text", text: "a whale" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } }
          ]
        }
      )
      assert.deepStrictEqual(yield* ToolDefinitions.dispatch(toolkit, { functionCall: { name, args } }), {
        functionResponse: { name, response: { output: text } }
      })
      assert.deepStrictEqual(
        yield* ToolDefinitions.dispatch(toolkit, { toolCallId: "c", toolName: name, input: args }),
        {
          type: "tool-result",
          toolCallId: "c",
          toolName: name,
          output: {
            type: "content",
            value: [
              { type: "text", text: "a whale" },
              { type: "media", data: "aGk=", mediaType: "image/png" }
            ]
          }
        }
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect("tell a model of a failure in the form of its API, and never fail", () =>
    Effect.gen(function* () {
      const toolkit = yield* McpToolkit.make()
      const input = { what: "nothing" }
      const anthropic = yield* ToolDefinitions.dispatch(toolkit, { type: "tool_use", id: "c", name, input })
      assert.isTrue(anthropic.is_error)
      assert.include(JSON.stringify(anthropic.content), "nothing to draw")
      const gemini = yield* ToolDefinitions.dispatch(toolkit, { functionCall: { id: "g", name, args: input } })
      assert.deepNestedInclude(gemini, {
        "functionResponse.id": "g",
        "functionResponse.response.error.error": "ToolError"
      })
      const vercel = yield* ToolDefinitions.dispatch(toolkit, { toolCallId: "c", toolName: name, input })
      assert.strictEqual(vercel.output.type, "error-text")
      const broken = yield* ToolDefinitions.dispatch(toolkit, {
        type: "function_call",
        call_id: "c",
        name,
        arguments: "{broken"
      })
      assert.include(broken.output, "InvalidArguments")
      const unknown = yield* ToolDefinitions.dispatch(toolkit, {
        type: "function_call",
        call_id: "c",
        name: "x",
        arguments: ""
      })
      assert.include(unknown.output, "UnknownTool")
    }).pipe(Effect.provide(layer))
  )
})
