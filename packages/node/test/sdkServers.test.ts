/** Server objects of both lines of the SDK within this process, and a server behind a WebSocket. */
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { WebSocketClientTransport } from "@modelcontextprotocol/sdk/client/websocket.js"
import { McpServer as McpServer1 } from "@modelcontextprotocol/sdk/server/mcp.js"
import { fromJsonSchema, McpServer } from "@modelcontextprotocol/server"
import { McpConnection, McpPool, ServerSource } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Effect, Exit, Scope } from "effect"
import { WebSocketServer } from "ws"

const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] })

/** A server of the current line; its tool counts how often it ran. */
const current = () => {
  const server = new McpServer({ name: "current", version: "2.0.0" })
  let runs = 0
  const inputSchema = fromJsonSchema<{ message?: string }>({
    type: "object",
    properties: { message: { type: "string" } }
  })
  server.registerTool("echo", { inputSchema }, ({ message }) => text(`${message ?? ""} ${++runs}`))
  return server
}

/** One of the maintenance line. */
const maintained = () => {
  const server = new McpServer1({ name: "maintained", version: "1.0.0" })
  let runs = 0
  server.registerTool("echo", {}, () => text(`${++runs}`))
  return server
}

describe.each([
  ["current", current],
  ["maintenance", maintained]
] as const)("a server object of the SDK's %s line", (_, make) => {
  it.effect("serves one connection after the other, and is the caller's to keep", () =>
    Effect.gen(function* () {
      const source = ServerSource.inProcess("object", make())
      for (const run of [1, 2]) {
        const result = yield* Effect.scoped(
          Effect.flatMap(McpConnection.make("object", source), (open) => open.callTool({ tool: "echo" }))
        )
        assert.include(result.text, String(run))
      }
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.effect("is listed, called and cancelled through a pool", () =>
    Effect.gen(function* () {
      const pool = yield* McpPool.make({ servers: { object: ServerSource.inProcess("object", make()) } })
      assert.deepStrictEqual(
        (yield* pool.catalogOf("object")).tools.map(({ name }) => name),
        ["echo"]
      )
      yield* pool.callTool({ server: "object", tool: "echo" })
      yield* pool.reconnect("object")
      assert.include((yield* pool.callTool({ server: "object", tool: "echo" })).text, "2")
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.effect("tells when it closes by itself", () =>
    Effect.gen(function* () {
      const server = make()
      const connection = yield* McpConnection.make("object", ServerSource.inProcess("object", server))
      yield* Effect.promise(() => server.close())
      assert.strictEqual((yield* connection.closed)._tag, "ConnectionLost")
    }).pipe(Effect.provide(McpNode.layer))
  )
})

describe("a server object", () => {
  it.effect("that serves somebody else already is reported, and keeps serving them", () =>
    Effect.gen(function* () {
      const source = ServerSource.inProcess("object", current())
      const first = yield* McpConnection.make("object", source)
      const error = yield* Effect.flip(McpConnection.make("object", source))
      assert.deepInclude(error.reason, { _tag: "ConnectFailed" as const, phase: "Start" as const })
      assert.include(error.message, "the server object cannot be connected")
      yield* first.callTool({ tool: "echo" })
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.effect("can be made anew for each connection, and ends with it", () =>
    Effect.gen(function* () {
      let open = 0
      const fresh = Effect.acquireRelease(
        Effect.sync(() => (open++, current())),
        () => Effect.sync(() => void open--)
      )
      const source = ServerSource.inProcess("object", fresh)
      const scope = yield* Scope.make()
      const connections = [
        yield* Scope.provide(McpConnection.make("a", source), scope),
        yield* Scope.provide(McpConnection.make("b", source), scope)
      ]
      for (const connection of connections) {
        assert.strictEqual((yield* connection.callTool({ tool: "echo" })).text, " 1")
      }
      assert.strictEqual(open, 2)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(open, 0)
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.effect("gets a copy of what it is sent", () =>
    Effect.gen(function* () {
      const server = new McpServer({ name: "greedy", version: "1.0.0" })
      const inputSchema = fromJsonSchema<{ list: Array<number> }>({ type: "object" })
      server.registerTool("grab", { inputSchema }, ({ list }) => text(String(list.splice(0))))
      const list = [1, 2]
      const connection = yield* McpConnection.make("object", ServerSource.inProcess("object", server))
      yield* connection.callTool({ tool: "grab", arguments: { list } })
      assert.deepStrictEqual(list, [1, 2])
    }).pipe(Effect.provide(McpNode.layer))
  )
})

/** Serves each client on a WebSocket of its own, with nothing but JSON. */
const socketServer = Effect.acquireRelease(
  Effect.callback<WebSocketServer>((resume) => {
    const server: WebSocketServer = new WebSocketServer({ port: 0, host: "127.0.0.1" }, () =>
      resume(Effect.succeed(server))
    )
    server.on("connection", (socket) => {
      socket.on("message", (data) => {
        const { id, method, params } = JSON.parse((data as Buffer).toString())
        const reply = (result: unknown) => socket.send(JSON.stringify({ jsonrpc: "2.0", id, result }))
        const { protocolVersion } = params ?? {}
        if (method === "initialize") {
          reply({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "socket", version: "1" } })
        } else if (method === "tools/call") {
          if (params.name === "drop") socket.terminate()
          else reply(text(params.name))
        }
      })
    })
  }),
  (server) =>
    Effect.callback<void>((resume) => {
      for (const client of server.clients) client.terminate()
      server.close(() => resume(Effect.void))
    })
)

it.live("a server behind a WebSocket is reached with the SDK's own transport", () =>
  Effect.gen(function* () {
    const server = yield* socketServer
    const { port } = server.address() as AddressInfo
    const url = new URL(`ws://127.0.0.1:${port}`)
    const source = ServerSource.fromTransport(
      String(url),
      Effect.sync(() => new WebSocketClientTransport(url))
    )
    yield* Effect.scoped(
      Effect.gen(function* () {
        const pool = yield* McpPool.make({ servers: { socket: source } })
        assert.strictEqual((yield* pool.callTool({ server: "socket", tool: "hello" })).text, "hello")
        const { reason } = yield* Effect.flip(pool.callTool({ server: "socket", tool: "drop" }))
        assert.deepInclude(reason, { _tag: "ConnectionLost" as const, delivery: "OutcomeUnknown" as const })
        assert.strictEqual((yield* pool.callTool({ server: "socket", tool: "again" })).text, "again")
        assert.strictEqual(server.clients.size, 1)
      })
    )
  }).pipe(Effect.provide(McpNode.layer))
)
