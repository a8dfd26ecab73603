import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { type Limits, McpConnection, ServerConfig } from "@scoped-mcp/core"
import { NodeHttpDispatcher, NodeProcessOwner } from "@scoped-mcp/node"
import { Effect, Exit, Fiber, Layer, Schema, Scope, Stream } from "effect"
import { eventually, timed } from "./system.ts"

/** What real servers do to the HTTP client of the SDK, done to ours; the numbers are those of the SDK's defects. */

const Frame = Schema.fromJsonString(
  Schema.Struct({
    id: Schema.optionalKey(Schema.Unknown),
    method: Schema.String,
    params: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
  })
)
type Frame = typeof Frame.Type

interface Behaviour {
  /** Answers a call of a tool. */
  readonly call?: (frame: Frame, response: ServerResponse) => void
  /** Answers a GET; default: there is no stream. */
  readonly get?: (request: IncomingMessage, response: ServerResponse, count: number) => void
  /** Answers the end of the session; default: it is over. */
  readonly end?: (response: ServerResponse) => void
}

const events = { "content-type": "text/event-stream" }
const json = { "content-type": "application/json" }
const result = (frame: Frame, value: unknown) => JSON.stringify({ jsonrpc: "2.0", id: frame.id, result: value })
const event = (data: string) => `event: message\ndata: ${data}\n\n`
const hello = { content: [{ type: "text", text: "hello" }] }

const bodyOf = async (request: IncomingMessage) => {
  const parts = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts).toString()
}

/** A server of the revisions with sessions, on a free port of the loopback, and what it has seen. */
const serve = Effect.fnUntraced(function* (behaviour: Behaviour = {}) {
  const seen = { methods: new Array<string>(), gets: new Array<IncomingMessage>(), deletes: 0, open: 0, sockets: 0 }
  const post = async (request: IncomingMessage, response: ServerResponse) => {
    const frame = Schema.decodeUnknownSync(Frame)(await bodyOf(request))
    seen.methods.push(frame.method)
    if (frame.method === "initialize") {
      const info = {
        protocolVersion: "2025-11-25",
        capabilities: { tools: {} },
        serverInfo: { name: "s", version: "1" }
      }
      response.writeHead(200, { ...json, "mcp-session-id": "one" }).end(result(frame, info))
    } else if (frame.method === "tools/call" && behaviour.call !== undefined) behaviour.call(frame, response)
    else if (frame.id === undefined) response.writeHead(202).end()
    else response.writeHead(200, json).end(result(frame, hello))
  }
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    seen.open++
    response.on("close", () => seen.open--)
    if (request.method === "GET") {
      seen.gets.push(request)
      if (behaviour.get === undefined) response.writeHead(405).end()
      else behaviour.get(request, response, seen.gets.length)
    } else if (request.method === "DELETE") {
      seen.deletes++
      if (behaviour.end === undefined) response.writeHead(200).end()
      else behaviour.end(response)
    } else void post(request, response)
  }
  const server = createServer(listener)
  server.on("connection", () => {
    seen.sockets++
  })
  const listen = (port: number) =>
    Effect.callback<void>((resume) => {
      server.listen(port, "127.0.0.1", () => resume(Effect.void))
    })
  const stop = Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
  yield* Effect.acquireRelease(listen(0), () => stop)
  const { port } = server.address() as AddressInfo
  return { seen, url: `http://127.0.0.1:${port}/mcp`, stop, restart: listen(port) }
})

const connect = (url: string, limits: Limits.ServerLimits = {}) =>
  McpConnection.make("s", ServerConfig.http({ url, era: "legacy", ...limits }))

const platform = Layer.merge(NodeHttpDispatcher.layer, NodeProcessOwner.layer)

const run = <A, E>(body: Effect.Effect<A, E, McpConnection.Platform | Scope.Scope>) =>
  Effect.scoped(body).pipe(Effect.provide(platform))

const until = (condition: () => boolean) => eventually(Effect.sync(condition), (holds) => holds)

const lost = { _tag: "ConnectionLost" as const, delivery: "OutcomeUnknown" as const }

describe("over real HTTP", () => {
  it.live("a stream cut before the result fails its call at once (H1)", () =>
    run(
      Effect.gen(function* () {
        const { url } = yield* serve({
          call: (_frame, response) => {
            response.writeHead(200, events).write(": working\n\n")
            response.socket!.destroySoon()
          }
        })
        const connection = yield* connect(url)
        const { millis, value } = yield* timed(Effect.flip(connection.callTool({ tool: "t" })))
        assert.deepInclude(value.reason, lost)
        assert.isBelow(millis, 1_000)
      })
    )
  )

  it.live("no stream of a call that was given up stays open (H3)", () =>
    run(
      Effect.gen(function* () {
        const { seen, url } = yield* serve({
          call: (_frame, response) => void response.writeHead(200, events).write(":\n\n")
        })
        const connection = yield* connect(url)
        const calls = yield* Effect.forEach(Array.from({ length: 21 }), () =>
          Effect.forkChild(connection.callTool({ tool: "t" }), { startImmediately: true })
        )
        yield* until(() => seen.open === 21)
        yield* Fiber.interruptAll(calls)
        yield* until(() => seen.open === 0)
        yield* until(() => seen.methods.filter((method) => method === "notifications/cancelled").length === 21)
      })
    )
  )

  it.live("a stream that ends at once and wants no pause makes no storm (H6)", () =>
    run(
      Effect.gen(function* () {
        const { seen, url } = yield* serve({
          get: (_request, response) => void response.writeHead(200, events).end("retry: 0\ndata:\n\n")
        })
        yield* connect(url)
        yield* until(() => seen.gets.length === 2)
        yield* Effect.sleep("500 millis")
        assert.isAtMost(seen.gets.length, 3)
      })
    )
  )

  it.live("a stream that waits to be opened again goes with its connection (H7)", () =>
    run(
      Effect.gen(function* () {
        const { seen, url } = yield* serve({ get: (_request, response) => void response.writeHead(503).end() })
        const scope = yield* Scope.make()
        for (let i = 0; i < 4; i++) yield* Scope.provide(connect(url), scope)
        yield* until(() => seen.gets.length >= 4)
        yield* Scope.close(scope, Exit.void)
        const before = seen.gets.length
        yield* Effect.sleep("1500 millis")
        assert.lengthOf(seen.gets, before)
      })
    )
  )

  it.live("a stream lost in an outage says so, and comes back with what was missed (H8)", () =>
    run(
      Effect.gen(function* () {
        const changed = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
        const server = yield* serve({
          get: (request, response) => {
            response.writeHead(200, events)
            response.write(request.headers["last-event-id"] === "7" ? event(changed) : "id: 7\ndata:\n\n")
          }
        })
        const connection = yield* connect(server.url)
        const stream = Effect.map(connection.diagnostics, ({ stream }) => stream?.state)
        yield* eventually(stream, (state) => state === "Open")
        const heard = yield* Effect.forkChild(Stream.runHead(connection.notifications), { startImmediately: true })
        yield* server.stop
        yield* eventually(stream, (state) => state === "Reopening")
        yield* server.restart
        yield* Fiber.join(heard)
        assert.strictEqual(yield* stream, "Open")
      })
    )
  )

  it.live("a lost session is no dead end: the connection ends (H9)", () =>
    run(
      Effect.gen(function* () {
        const { url } = yield* serve({ call: (_frame, response) => void response.writeHead(404).end() })
        const connection = yield* connect(url)
        const { reason } = yield* Effect.flip(connection.callTool({ tool: "t" }))
        assert.deepInclude(reason, { _tag: "SessionExpired" as const, delivery: "NotSent" as const })
        assert.include((yield* connection.closed).message, "session has expired")
      })
    )
  )

  it.live("an end of the session that is never answered takes 2 seconds (H10)", () =>
    run(
      Effect.gen(function* () {
        const { seen, url } = yield* serve({ end: () => {} })
        const connection = yield* connect(url)
        const { millis } = yield* timed(connection.close)
        assert.isAbove(millis, 1_900)
        assert.isBelow(millis, 3_500)
        assert.strictEqual(seen.deletes, 1)
        yield* until(() => seen.open === 0)
      })
    )
  )

  it.live("a server that resumes nothing fails the call as soon as it says so (H11)", () =>
    run(
      Effect.gen(function* () {
        const { seen, url } = yield* serve({
          call: (_frame, response) => void response.writeHead(200, events).end("id: 1\nretry: 300\ndata:\n\n")
        })
        const connection = yield* connect(url)
        const { millis, value } = yield* timed(Effect.flip(connection.callTool({ tool: "t" })))
        assert.deepInclude(value.reason, lost)
        assert.isBelow(millis, 1_500)
        assert.strictEqual(seen.gets.at(-1)!.headers["last-event-id"], "1")
      })
    )
  )

  it.live("a server that resumes is asked when it wants to be", () =>
    run(
      Effect.gen(function* () {
        let call: Frame | undefined
        let cutAt = 0
        let askedAt = 0
        const { url } = yield* serve({
          call: (frame, response) => {
            call = frame
            cutAt = performance.now()
            response.writeHead(200, events).end("id: event-1\nretry: 500\ndata: \n\n")
          },
          get: (request, response) => {
            if (request.headers["last-event-id"] !== "event-1") return void response.writeHead(405).end()
            askedAt = performance.now()
            response.writeHead(200, events).end(event(result(call!, hello)))
          }
        })
        const connection = yield* connect(url)
        assert.strictEqual((yield* connection.callTool({ tool: "t" })).text, "hello")
        assert.isAtLeast(askedAt - cutAt, 490)
        assert.isBelow(askedAt - cutAt, 900)
      })
    )
  )

  it.live.each(["json", "sse"] as const)("an answer without end takes no memory beyond the limit (H12): %s", (form) =>
    run(
      Effect.gen(function* () {
        let written = 0
        const { seen, url } = yield* serve({
          call: (_frame, response) => {
            response.writeHead(200, form === "json" ? json : events)
            response.write(form === "json" ? '{"jsonrpc":"2.0","result":"' : 'data: {"jsonrpc":"2.0","result":"')
            const more = () => {
              while (written < 512 * 1024 * 1024 && !response.destroyed) {
                written += 65_536
                if (!response.write("x".repeat(65_536))) return void response.once("drain", more)
              }
            }
            more()
          }
        })
        const connection = yield* connect(url, { maxMessageBytes: "1 MiB" })
        const { reason } = yield* Effect.flip(connection.callTool({ tool: "t" }))
        assert.strictEqual(reason._tag, "MessageTooLarge")
        yield* until(() => seen.open === 0)
        assert.isBelow(written, 64 * 1024 * 1024)
      })
    )
  )

  it.live("a stream that goes on after its answer holds its socket for 2 seconds, not for ever", () =>
    run(
      Effect.gen(function* () {
        const { seen, url } = yield* serve({
          call: (frame, response) => void response.writeHead(200, events).write(event(result(frame, hello)))
        })
        const connection = yield* connect(url)
        for (let i = 0; i < 5; i++) yield* connection.callTool({ tool: "t" })
        assert.strictEqual(seen.open, 5)
        yield* until(() => seen.open === 0)
      })
    )
  )

  it.live("streams that end after their answer leave their socket to the next call", () =>
    run(
      Effect.gen(function* () {
        const { seen, url } = yield* serve({
          call: (frame, response) => void response.writeHead(200, events).end(event(result(frame, hello)))
        })
        const connection = yield* connect(url)
        const before = seen.sockets
        for (let i = 0; i < 20; i++) yield* connection.callTool({ tool: "t" })
        // The end of one answer may come after the next call.
        assert.isAtMost(seen.sockets - before, 2)
      })
    )
  )
})
