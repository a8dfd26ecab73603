import { assert, describe, it } from "@effect/vitest"
import { Client, StreamableHTTPClientTransport, type Transport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { McpConnection, McpPool } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Fault, FaultyServer, Journal, PoolContract, ScriptedServer, TestPool } from "@scoped-mcp/testing"
import { Effect, Fiber, Schema, Stream } from "effect"

type Mode = "legacy" | "auto" | { readonly pin: string }
const modern: Mode = { pin: "2026-07-28" }

/** The SDK's own client, for what our runtime does not speak yet. */
const connect = (transport: Transport, mode: Mode) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ name: "test", version: "0" }, { versionNegotiation: { mode } })
      await client.connect(transport)
      return client
    }),
    (client) => Effect.promise(() => client.close())
  )

const lend = ScriptedServer.tool({
  name: "lend",
  description: "Lends a book",
  annotations: { destructiveHint: false },
  arguments: Schema.Struct({ book: Schema.String, days: Schema.optionalKey(Schema.Finite) }),
  output: Schema.Struct({ until: Schema.DateTimeUtc }),
  handler: ({ days }) => Effect.succeed({ structuredContent: { until: day(days ?? 1) } })
})
const day = (number: number) => Schema.decodeSync(Schema.DateTimeUtcFromMillis)(number * 86_400_000)

const count = ScriptedServer.tool({
  name: "count",
  handler: (_, { execution, requestId, session }) =>
    Effect.succeed(`${execution} ${typeof requestId} ${session !== ""}`)
})
const broken = ScriptedServer.tool({ name: "broken", handler: () => Effect.die(new Error("a bug of the server")) })
const hang = ScriptedServer.tool({ name: "hang", handler: () => Effect.never })
const talk = ScriptedServer.tool({
  name: "talk",
  handler: (_, { notify }) => Effect.as(notify("notifications/message", { level: "info", data: "hm" }), "done")
})

const library = (options: Partial<ScriptedServer.Options> = {}) =>
  ScriptedServer.make({ name: "library", tools: [lend, count, broken, hang, talk], ...options })

describe("a tool", () => {
  it.effect("is listed with the JSON Schema of its arguments and its output", () =>
    Effect.gen(function* () {
      const { catalogOf } = yield* McpPool.McpPool
      const [first] = (yield* catalogOf("library")).tools
      assert.deepInclude(first, { name: "lend", description: "Lends a book", annotations: { destructiveHint: false } })
      assert.deepStrictEqual(Object.keys(first?.inputSchema.properties ?? {}), ["book", "days"])
      assert.deepStrictEqual(first?.inputSchema.required, ["book"])
      assert.strictEqual(first?.outputSchema?.type, "object")
    }).pipe(Effect.provide(TestPool.layer({ servers: { library: library() } })))
  )

  it.effect("has its arguments decoded and its answer encoded", () =>
    Effect.gen(function* () {
      const { callTool } = yield* McpPool.McpPool
      const result = yield* callTool({ server: "library", tool: "lend", arguments: { book: "Emma", days: 2 } })
      assert.deepStrictEqual(result.structuredContent, { until: "1970-01-03T00:00:00.000Z" })
      const { reason } = yield* Effect.flip(callTool({ server: "library", tool: "lend", arguments: { days: 2 } }))
      assert.strictEqual(reason._tag, "ToolError")
      assert.include(reason.message, "book")
      const { journal } = yield* TestPool.server("library")
      assert.strictEqual(Journal.executions(yield* journal.entries), 1)
    }).pipe(Effect.provide(TestPool.layer({ servers: { library: library() } })))
  )

  it.effect("knows its call, may die, and may speak meanwhile", () =>
    Effect.gen(function* () {
      const pool = yield* McpPool.McpPool
      yield* pool.callTool({ server: "library", tool: "count" })
      assert.strictEqual((yield* pool.callTool({ server: "library", tool: "count" })).text, "2 number true")
      const { reason } = yield* Effect.flip(pool.callTool({ server: "library", tool: "broken" }))
      assert.deepInclude(reason, { _tag: "ProtocolError", code: -32_603, detail: "a bug of the server" })
      yield* pool.use("library", (connection) =>
        Effect.gen(function* () {
          const heard = yield* Effect.forkChild(Stream.runHead(connection.notifications), { startImmediately: true })
          yield* connection.callTool({ tool: "talk" })
          assert.include(JSON.stringify(yield* Fiber.join(heard)), "hm")
        })
      )
    }).pipe(Effect.provide(TestPool.layer({ servers: { library: library() } })))
  )
})

describe("a server of both eras", () => {
  it.live("speaks that of 2026 in memory, on stdio and over HTTP", () =>
    Effect.gen(function* () {
      const { source } = ScriptedServer.inMemory(library())
      const { url } = yield* ScriptedServer.http(library())
      const { args, command } = ScriptedServer.stdio({ module: new URL("./support/library.ts", import.meta.url) })
      const process = new StdioClientTransport({ command, args: args.map(String), stderr: "ignore" })
      const transports: ReadonlyArray<Transport> = [
        yield* Effect.orDie(source.make),
        process,
        new StreamableHTTPClientTransport(url)
      ]
      for (const transport of transports) {
        const client: Client = yield* connect(transport, modern)
        assert.strictEqual(client.getNegotiatedProtocolVersion(), "2026-07-28")
        assert.strictEqual(client.getServerVersion()?.name, "library")
        const { tools } = yield* Effect.promise(() => client.listTools())
        assert.strictEqual(tools[0]?.name, "lend")
        const call = { name: "lend", arguments: { book: "Emma" } }
        assert.isNotTrue((yield* Effect.promise(() => client.callTool(call))).isError)
      }
    })
  )

  it.live("tells listeners of the 2026 era what they asked for", () =>
    Effect.gen(function* () {
      const { notify, url } = yield* ScriptedServer.http(library())
      const client = yield* connect(new StreamableHTTPClientTransport(url), modern)
      const changed = Promise.withResolvers<string>()
      client.setNotificationHandler("notifications/tools/list_changed", (told) => changed.resolve(told.method))
      const listening = yield* Effect.promise(() => client.listen({ toolsListChanged: true, promptsListChanged: true }))
      assert.deepStrictEqual(listening.honoredFilter, { toolsListChanged: true })
      yield* notify("notifications/prompts/list_changed")
      yield* notify("notifications/tools/list_changed")
      assert.strictEqual(yield* Effect.promise(() => changed.promise), "notifications/tools/list_changed")
      yield* Effect.promise(() => listening.close())
    })
  )

  it.live("stops a call of the 2026 era whose response nobody reads any more", () =>
    Effect.gen(function* () {
      const { journal, url } = yield* ScriptedServer.http(library())
      const client = yield* connect(new StreamableHTTPClientTransport(url), modern)
      const abort = new AbortController()
      const call = client.callTool({ name: "hang", arguments: {} }, { signal: abort.signal }).catch(() => "gone")
      yield* journal.first((entry) => entry._tag === "ToolStarted")
      abort.abort()
      assert.strictEqual(yield* Effect.promise(() => call), "gone")
      const ended = yield* journal.first((entry) => entry._tag === "ToolEnded")
      assert.deepInclude(ended, { outcome: "Interrupted" })
    })
  )

  it.live("has faults in that of 2026, too, counted over its single requests", () =>
    Effect.gen(function* () {
      const server = FaultyServer.make(library(), [Fault.crash(4), Fault.unknownIds])
      const { journal, url } = yield* FaultyServer.http(server)
      const client = yield* connect(new StreamableHTTPClientTransport(url), modern)
      const calls = yield* Effect.forEach([1, 2, 3], () =>
        Effect.promise(() =>
          client.callTool({ name: "lend", arguments: { book: "Emma" } }).then(
            () => "ok",
            () => "failed"
          )
        )
      )
      // The first request was the handshake.
      assert.deepStrictEqual(calls, ["ok", "ok", "failed"])
      const entries = yield* journal.entries
      assert.strictEqual(Journal.executions(entries), 2)
      assert.isFalse(entries.some((entry) => entry._tag === "SessionOpened"))
    })
  )

  it.live("of which only one is served refuses the other", () =>
    Effect.gen(function* () {
      const old = yield* ScriptedServer.http(library({ eras: ["2025"] }))
      const client = yield* connect(new StreamableHTTPClientTransport(old.url), "auto")
      assert.strictEqual(client.getNegotiatedProtocolVersion(), "2025-11-25")
      const recent = ScriptedServer.inMemory(library({ eras: ["2026"] }))
      const { reason } = yield* Effect.flip(McpConnection.make("library", { ...recent.source, era: "legacy" }))
      assert.include(reason.message, "unsupported protocol version")
    }).pipe(Effect.provide(McpNode.layer))
  )
})

describe("a server over HTTP", () => {
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" }
  const post = (url: URL, body: unknown, extra: Record<string, string> = {}) =>
    Effect.promise(() => fetch(url, { method: "POST", headers: { ...headers, ...extra }, body: JSON.stringify(body) }))
  const initialize = {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "0" } }
  }
  const ping = { jsonrpc: "2.0", id: 2, method: "ping" }

  it.live("has sessions that are opened, asked for, and deleted", () =>
    Effect.gen(function* () {
      const { journal, url } = yield* ScriptedServer.http(library())
      assert.strictEqual((yield* post(url, ping)).status, 400)
      assert.strictEqual((yield* post(url, ping, { "mcp-session-id": "made up" })).status, 404)
      const opened = yield* post(url, initialize)
      const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" }
      assert.strictEqual((yield* post(url, ping, session)).status, 200)
      assert.strictEqual(
        (yield* post(url, { jsonrpc: "2.0", method: "notifications/initialized" }, session)).status,
        202
      )
      const deleted = yield* Effect.promise(() => fetch(url, { method: "DELETE", headers: session }))
      assert.strictEqual(deleted.status, 200)
      assert.strictEqual((yield* post(url, ping, session)).status, 404)
      assert.deepStrictEqual(Journal.openSessions(yield* journal.entries), [])
      const refused = (yield* journal.entries).flatMap((entry) => (entry._tag === "HttpRefused" ? [entry.status] : []))
      assert.deepStrictEqual(refused, [400, 404, 404])
    })
  )

  it.live("refuses what is no request of its protocol", () =>
    Effect.gen(function* () {
      const { url } = yield* ScriptedServer.http(library())
      assert.strictEqual((yield* post(url, "nonsense")).status, 400)
      assert.strictEqual((yield* post(new URL("/elsewhere", url), ping)).status, 404)
      assert.strictEqual((yield* Effect.promise(() => fetch(url, { method: "PUT" }))).status, 405)
      const params = { _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } }
      const disagreeing = yield* post(url, { ...ping, params }, { "mcp-protocol-version": "2025-11-25" })
      assert.strictEqual(disagreeing.status, 400)
      assert.include(yield* Effect.promise(() => disagreeing.text()), "-32020")
    })
  )

  it.live("tells a session on its GET stream what happened before there was one", () =>
    Effect.gen(function* () {
      const { config, notify } = yield* ScriptedServer.http(library())
      const connection = yield* McpConnection.make("library", config)
      const heard = yield* Effect.forkChild(Stream.runHead(connection.notifications), { startImmediately: true })
      yield* notify("notifications/tools/list_changed")
      assert.include(JSON.stringify(yield* Fiber.join(heard)), "list_changed")
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.live("lets nobody in without its bearer token", () =>
    Effect.gen(function* () {
      const { config, url } = yield* ScriptedServer.http(library(), { bearer: "open sesame" })
      const refused = yield* post(url, initialize)
      assert.strictEqual(refused.status, 401)
      assert.strictEqual(refused.headers.get("www-authenticate"), "Bearer")
      const connection = yield* McpConnection.make("library", config)
      yield* connection.ping
    }).pipe(Effect.provide(McpNode.layer))
  )
})

it.live("a server on stdio that cannot be served says why", () =>
  Effect.gen(function* () {
    const wrong = ScriptedServer.stdio({ module: new URL("./support/calls.ts", import.meta.url), export: "server" })
    const { reason } = yield* Effect.flip(McpConnection.make("wrong", wrong))
    assert.include(reason.message, 'the export "server"')
  }).pipe(Effect.provide(McpNode.layer))
)

it.live("a server on stdio journals its process from start to end", () =>
  Effect.gen(function* () {
    const { journal, path } = yield* Journal.temporary
    const config = ScriptedServer.stdio({ module: PoolContract.module, journal: path })
    yield* Effect.scoped(Effect.flatMap(McpConnection.make("contract", config), (connection) => connection.ping))
    const tags = (yield* journal.entries).map((entry) => entry._tag)
    assert.deepStrictEqual(tags.slice(0, 2), ["ProcessStarted", "FrameReceived"])
    assert.deepStrictEqual(tags.slice(-2), ["SessionEnded", "ProcessEnded"])
  }).pipe(Effect.provide(McpNode.layer))
)
