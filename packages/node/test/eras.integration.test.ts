/** Both eras with servers of the SDK: handshake, input of the host, subscriptions, log messages, cancellation. */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { HostHandlers, McpConnection, ServerConfig } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Duration, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { alive, eventually, makeTag, spawn } from "./system.ts"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const everything = join(root, "node_modules/@modelcontextprotocol/server-everything/dist/index.js")
const modern = fileURLToPath(new URL("./fixtures/modern.mjs", import.meta.url))

const host = Layer.mergeAll(
  Layer.succeed(HostHandlers.Sampling, {
    createMessage: ({ maxTokens }) =>
      Effect.succeed({ role: "assistant", model: "none", content: { type: "text", text: `at most ${maxTokens}` } })
  }),
  Layer.succeed(HostHandlers.Elicitation, {
    form: ({ message }) =>
      Effect.succeed({ action: "accept", content: message === "where?" ? { city: "Ulm" } : { name: "Ada" } })
  }),
  Layer.succeed(HostHandlers.Roots, { list: () => Effect.succeed([{ uri: "file:///srv", name: "srv" }]) })
)

const connect = (config: ServerConfig.ServerConfig) => McpConnection.make("it", config).pipe(Effect.provide(host))

/** Everything that is told from now on. */
const heard = (connection: McpConnection.Connection) =>
  Effect.gen(function* () {
    const told: Array<string> = []
    yield* Effect.forkChild(
      Stream.runForEach(connection.notifications, ({ method, params }) =>
        Effect.sync(() => told.push(`${method} ${JSON.stringify(params ?? {})}`))
      ),
      { startImmediately: true }
    )
    return (part: string) =>
      eventually(
        Effect.sync(() => told.find((each) => each.includes(part))),
        (found) => found !== undefined
      )
  })

/** What a server of the 2026 era is asked for, whatever carries it. */
const tryOut = Effect.fnUntraced(function* (connection: McpConnection.Connection) {
  assert.deepInclude(connection.info, { era: "modern", protocolVersion: "2026-07-28", instructions: "be modern" })
  assert.deepStrictEqual(connection.info.serverInfo, { name: "modern", version: "1.0.0" })
  const told = yield* heard(connection)
  yield* connection.ping
  const region = yield* connection.callTool({ tool: "region", arguments: { region: "Überlingen am See" } })
  assert.strictEqual(region.text, "in Überlingen am See")

  const names = (yield* connection.listTools).map(({ name }) => name)
  assert.includeMembers(names, ["echo", "region", "ask", "count"])
  assert.lengthOf(yield* connection.listResources, 1)
  const answered = yield* connection.callTool({ tool: "ask" })
  assert.deepStrictEqual(JSON.parse(answered.text), [
    { action: "accept", content: { city: "Ulm", days: 3 } },
    { roots: [{ uri: "file:///srv", name: "srv" }] },
    "signed: ü"
  ])
  const schema = Schema.Struct({ count: Schema.Int })
  const counted = yield* connection.callTool({ tool: "count", arguments: { count: 7 }, schema })
  assert.strictEqual(counted.value.count, 7)

  yield* connection.setLogLevel("info")
  yield* connection.callTool({ tool: "log" })
  yield* told("careful")
  yield* Effect.scoped(
    Effect.gen(function* () {
      yield* connection.subscribe("note://1")
      yield* connection.callTool({ tool: "change" })
      yield* told("notifications/tools/list_changed")
      yield* told("note://1")
    })
  )
  assert.deepInclude(yield* connection.diagnostics, { pending: 0, strays: 0, hiddenTools: [], unchecked: 0 })
})

const cancels = Effect.fnUntraced(function* (connection: McpConnection.Connection, stderr: Effect.Effect<string>) {
  const slow = yield* Effect.forkChild(connection.callTool({ tool: "slow" }), { startImmediately: true })
  yield* eventually(stderr, (text) => text.includes("slow began"))
  yield* Fiber.interrupt(slow)
  yield* eventually(stderr, (text) => text.includes("slow was cancelled"))
  const again = yield* connection.callTool({ tool: "echo", arguments: { message: "still here" } })
  assert.strictEqual(again.text, "Echo: still here")
})

it.live("a server of the 2026 era over stdio, which refuses initialize and stays", () =>
  Effect.gen(function* () {
    const tag = makeTag()
    const config = ServerConfig.stdio({ command: process.execPath, args: [modern], env: { TAG: tag } })
    yield* Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* connect(config)
        yield* tryOut(connection)
        yield* cancels(
          connection,
          Effect.map(connection.diagnostics, ({ stderr }) => stderr)
        )
        assert.lengthOf(yield* alive(tag), 1)
      })
    )
    assert.deepStrictEqual(yield* alive(tag), [])
  }).pipe(Effect.provide(McpNode.layer))
)

it.live("a server of the 2026 era over HTTP", () =>
  Effect.gen(function* () {
    const server = yield* spawn({
      command: process.execPath,
      args: [modern, "http"],
      env: {},
      inheritEnv: "minimal",
      cwd: undefined,
      stopTimeout: Duration.seconds(2)
    })
    yield* server.heard("listening on")
    const port = /listening on (\d+);/.exec(server.stdout.join(""))![1]!
    const connection = yield* connect(ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp` }))
    yield* tryOut(connection)
    yield* cancels(
      connection,
      Effect.sync(() => server.stderr.join(""))
    )
  }).pipe(Effect.provide(McpNode.layer))
)

it.live("server-everything over stdio asks for a message, a form and the roots, tells of resources, and logs", () =>
  Effect.gen(function* () {
    const connection = yield* connect(ServerConfig.stdio({ command: process.execPath, args: [everything, "stdio"] }))
    assert.strictEqual(connection.info.era, "legacy")
    const told = yield* heard(connection)
    const sampled = yield* connection.callTool({
      tool: "trigger-sampling-request",
      arguments: { prompt: "hello", maxTokens: 42 }
    })
    assert.include(sampled.text, "at most 42")
    const asked = yield* connection.callTool({ tool: "trigger-elicitation-request" })
    for (const part of ["Ada", "It was a dark and stormy night.", "hero-1"]) assert.include(asked.text, part)
    assert.include((yield* connection.callTool({ tool: "get-roots-list" })).text, "file:///srv")

    yield* connection.setLogLevel("debug")
    yield* connection.callTool({ tool: "toggle-simulated-logging" })
    yield* told("notifications/message")
    yield* connection.callTool({ tool: "toggle-simulated-logging" })

    const uri = "demo://resource/dynamic/text/1"
    yield* Effect.scoped(
      Effect.gen(function* () {
        yield* connection.subscribe(uri)
        yield* connection.callTool({ tool: "toggle-subscriber-updates" })
        yield* told(uri)
        yield* connection.callTool({ tool: "toggle-subscriber-updates" })
      })
    )
  }).pipe(Effect.provide(McpNode.layer))
)
