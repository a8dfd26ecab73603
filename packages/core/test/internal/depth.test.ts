import { assert, describe, it } from "@effect/vitest"
import { McpConnection, type McpError, ServerConfig } from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Option } from "effect"
import { parseFrame } from "../../src/internal/frames.ts"
import * as Platform from "../support/platform.ts"
import { ScriptedPeer, tools } from "../support/ScriptedPeer.ts"

/** Nested deeper than any stack is. */
const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`

const withChild = <A, E>(
  body: (connection: McpConnection.Connection, child: Platform.FakeProcess) => Effect.Effect<A, E>
) => {
  const children: Array<Platform.FakeProcess> = []
  return Effect.gen(function* () {
    const config = ServerConfig.stdio({ command: "run-me", env: { KEY: "canary-secret" } })
    return yield* body(yield* McpConnection.make("s", config), children[0]!)
  }).pipe(Effect.provide(Platform.processes(children)), Effect.scoped)
}

const idOf = (frame: Record<string, unknown>) => frame["id"] as number

const failure = (fiber: Fiber.Fiber<Exit.Exit<unknown, McpError.McpError>>) =>
  Effect.map(Fiber.join(fiber), (exit) => Option.getOrThrow(Exit.findErrorOption(exit)).reason)

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkDetach(Effect.exit(effect), { startImmediately: true })

describe("a message that is nested without end", () => {
  it.effect("fails the call that it answers, and throws nothing into the line", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        for (const answer of [
          `"error":{"code":1,"message":"no","data":${deep}}`,
          `"result":{"isError":true,"content":[],"x":${deep}}`,
          `"result":{"content":[],"structuredContent":${deep}}`
        ]) {
          const one = yield* start(connection.callTool({ tool: "one" }))
          child.stdout(`{"jsonrpc":"2.0","id":${idOf(child.calls("one").at(-1)!)},${answer}}\n`)
          assert.deepInclude(yield* failure(one), { _tag: "InvalidResult", delivery: "Answered" })
        }
        const list = yield* start(connection.listTools)
        const id = idOf(child.written.findLast(({ method }) => method === "tools/list")!)
        const tool = `{"name":"t","inputSchema":{},"outputSchema":{"type":"object","allOf":${deep}}}`
        child.stdout(`{"jsonrpc":"2.0","id":${id},"result":{"tools":[${tool}]}}\n`)
        assert.deepInclude(yield* failure(list), { _tag: "InvalidResult" })
      })
    )
  )

  it.effect("is nothing to the rest, as a request, a notification or an answer to nobody", () =>
    withChild((connection, child) =>
      Effect.gen(function* () {
        const frames = [
          `"method":"roots/list","id":1,"params":{"_meta":{"x":${deep}}}`,
          `"method":"sampling/createMessage","id":2,"params":${deep}`,
          `"method":"notifications/message","params":{"data":${deep}}`,
          `"method":"notifications/cancelled","params":{"requestId":${deep}}`,
          `"id":3,"result":{"x":${deep}}`,
          `"id":4,"error":{"code":1,"message":"no","data":${deep}}`,
          `"id":${deep},"result":{}`,
          `"result":${deep}`
        ]
        for (const frame of frames) child.stdout(`{"jsonrpc":"2.0",${frame}}\n`)
        const one = yield* start(connection.callTool({ tool: "one" }))
        child.reply(child.calls("one")[0]!["id"], { content: [] })
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(one)))
        assert.strictEqual((yield* connection.diagnostics).noiseCount, frames.length)
      })
    )
  )

  it.effect("fails the call that it answers over a transport of the user's, and is dropped otherwise", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer({
        tools: {
          ...tools,
          deep: ({ id, session }) => session.raw(JSON.parse(`{"jsonrpc":"2.0","id":${id},"result":${deep}}`)),
          asks: (call) => {
            call.session.raw(JSON.parse(`{"jsonrpc":"2.0","id":1,"method":"roots/list","params":{"x":${deep}}}`))
            call.text("asked")
          }
        }
      })
      const connection = yield* McpConnection.make("memory", peer.source()).pipe(Effect.provide(Platform.none))
      assert.deepInclude(yield* failure(yield* start(connection.callTool({ tool: "deep" }))), { _tag: "InvalidResult" })
      assert.strictEqual((yield* connection.callTool({ tool: "asks" })).text, "asked")
    })
  )

  it("is told from one with as many brackets in its texts, or side by side", () => {
    const brackets = "[".repeat(5_000)
    const escaped = JSON.stringify(`\\"${brackets}"${brackets}\\`)
    const flat = `[${"[],{},".repeat(5_000)}0]`
    for (const value of [`"${brackets}"`, escaped, `[${escaped}]`, flat, "[".repeat(999) + "]".repeat(999)]) {
      const text = `{"jsonrpc":"2.0","id":1,"result":${value}}`
      assert.deepStrictEqual(parseFrame(text), JSON.parse(text))
    }
    const hidden = `{"jsonrpc":"2.0","id":1,"result":${'["]",'.repeat(1_000)}0${"]".repeat(1_000)}}`
    assert.isUndefined(parseFrame(hidden))
  })
})
