import { assert, describe, it } from "@effect/vitest"
import { McpConnection, type McpError } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Script, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Effect, Fiber } from "effect"

const answer = (text: string) => ({ content: [{ type: "text", text }] })

const scripted = (...script: ReadonlyArray<Script.Step>) => ScriptedServer.make({ name: "library", script })

const connect = (definition: ScriptedServer.Definition) => {
  const { journal, source } = ScriptedServer.inMemory(definition)
  return Effect.map(McpConnection.make("library", source), (connection) => ({ connection, journal }))
}

const lend = (connection: McpConnection.Connection, book: string) =>
  connection.callTool({ tool: "lend", arguments: { book } })

const reason = (call: Effect.Effect<unknown, McpError.McpError>) =>
  Effect.map(Effect.flip(call), (error) => `${error.reason._tag} ${error.delivery}`)

describe("a script", () => {
  it.effect("answers what it expects, word for word", () =>
    Effect.gen(function* () {
      const { connection } = yield* connect(
        scripted(
          Script.handshake,
          Script.expect("tools/call", { name: "lend", arguments: { book: "Emma" } }),
          Script.reply(answer("lent")),
          Script.expect("tools/call"),
          Script.replyError(-32_099, "closed on Mondays", { until: "Tuesday" })
        )
      )
      assert.strictEqual((yield* lend(connection, "Emma")).text, "lent")
      const { reason } = yield* Effect.flip(lend(connection, "Persuasion"))
      assert.deepInclude(reason, { _tag: "ProtocolError", code: -32_099, data: { until: "Tuesday" } })
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.effect("may write the handshake, too, and leaves the rest to the definition", () =>
    Effect.gen(function* () {
      const hello = { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "old", version: "0" } }
      const { connection } = yield* connect(
        scripted(
          Script.expect("initialize"),
          Script.reply(hello),
          Script.expect("notifications/initialized"),
          Script.expect("ping"),
          Script.reply({})
        )
      )
      assert.strictEqual(connection.info.protocolVersion, "2025-06-18")
      yield* connection.ping
      yield* connection.ping
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.effect("that meets another frame ends the line and says what it expected", () =>
    Effect.gen(function* () {
      const { connection, journal } = yield* connect(scripted(Script.handshake, Script.expect("ping")))
      assert.strictEqual(yield* reason(lend(connection, "Emma")), "ConnectionLost OutcomeUnknown")
      const failed = yield* journal.first((entry) => entry._tag === "ScriptFailed")
      assert.include(JSON.stringify(failed), "ping")
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.effect("takes its time, tells things unasked, and hangs up", () =>
    Effect.gen(function* () {
      const { connection, journal } = yield* connect(
        scripted(
          Script.handshake,
          Script.serveUntil("ping"),
          Script.expect("tools/call"),
          Script.wait("20 seconds"),
          Script.sendText("this is no frame"),
          Script.send({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "sorry" } }),
          Script.hangUp
        )
      )
      yield* connection.ping
      const call = yield* Effect.forkChild(reason(lend(connection, "Emma")))
      yield* TestPool.adjust("20 seconds")
      assert.strictEqual(yield* Fiber.join(call), "ConnectionLost OutcomeUnknown")
      const texts = (yield* journal.entries).flatMap((entry) => (entry._tag === "TextSent" ? [entry.text] : []))
      assert.strictEqual(texts.length, 2)
      assert.include(texts[1], "sorry")
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.live("runs over HTTP as it does in memory", () =>
    Effect.gen(function* () {
      const { config } = yield* ScriptedServer.http(
        scripted(
          Script.handshake,
          Script.expect("tools/call"),
          Script.send({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data: "wait" } }),
          Script.reply(answer("lent"))
        )
      )
      const connection = yield* McpConnection.make("library", config)
      assert.strictEqual((yield* lend(connection, "Emma")).text, "lent")
    }).pipe(Effect.provide(McpNode.layer))
  )
})
