import { assert, describe, it } from "@effect/vitest"
import { InMemoryTransport, type JSONRPCMessage, type Transport } from "@modelcontextprotocol/client"
import { McpConnection, McpPool, ServerSource } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Effect, Fiber, Option, Redacted, type Schema } from "effect"
import * as Recording from "../src/Recording.ts"
import * as ScriptedServer from "../src/ScriptedServer.ts"
import * as TestPool from "../src/TestPool.ts"
import library from "./support/recorded.ts"

const module = new URL("./support/recorded.ts", import.meta.url)
const card = "4242-4242-4242"

const connect = (source: ServerSource.FromTransport) =>
  McpConnection.make("library", source).pipe(Effect.provide(McpNode.layer))

/** Runs what waits on the test clock to its end, half a second at a time. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    while (fiber.pollUnsafe() === undefined) yield* TestPool.adjust("500 millis")
    return yield* Fiber.join(fiber)
  })

const search = (connection: McpConnection.Connection, query: string, seen: Array<unknown> = []) =>
  connection.callTool({
    tool: "search",
    arguments: { query, card },
    onProgress: ({ message, progress }) => seen.push([progress, message])
  })

const recorded = Effect.gen(function* () {
  const recorder = yield* Recording.record(ScriptedServer.inMemory(library).source, {
    secrets: [Redacted.make(card)]
  })
  yield* Effect.scoped(
    inTime(
      Effect.gen(function* () {
        const connection = yield* connect(recorder.source)
        yield* search(connection, "dune")
        yield* search(connection, "emma")
      })
    )
  )
  return yield* recorder.recording
})

describe("Recording", () => {
  it.effect("keeps direction, time on Effect's clock and frame of all that passes", () =>
    Effect.gen(function* () {
      const { frames, header } = yield* recorded
      assert.strictEqual(header.protocolVersion, "2025-11-25")
      assert.deepStrictEqual(
        frames.map(({ at, frame, to }) => [to, at, frame["method"] ?? "answer"]),
        [
          ["server", 0, "initialize"],
          ["client", 0, "answer"],
          ["server", 0, "notifications/initialized"],
          ["server", 0, "tools/call"],
          ["client", 1000, "notifications/progress"],
          ["client", 2000, "notifications/progress"],
          ["client", 2000, "notifications/message"],
          ["client", 2000, "answer"],
          ["server", 2000, "tools/call"],
          ["client", 3000, "notifications/progress"],
          ["client", 4000, "notifications/progress"],
          ["client", 4000, "notifications/message"],
          ["client", 4000, "answer"]
        ]
      )
    })
  )

  it.effect("holds no secret, and says what was taken out", () =>
    Effect.gen(function* () {
      const recording = yield* recorded
      const text = Recording.toText(recording)
      assert.notInclude(text, card)
      assert.notInclude(text, "sk-of-the-server")
      assert.deepStrictEqual(
        recording.header.redactions.map(({ rule }) => rule),
        ["given secrets", "credentials in texts"]
      )
    })
  )

  it.effect("reads what it has written", () =>
    Effect.gen(function* () {
      const recording = yield* recorded
      assert.deepStrictEqual(yield* Recording.fromText(Recording.toText(recording)), recording)
    })
  )

  it.effect("says which line of a file is wrong", () =>
    Effect.gen(function* () {
      const lines = Recording.toText(yield* recorded).split("\n")
      lines[2] = lines[2]!.replace("client", "nobody")
      const error = yield* Effect.flip(Recording.fromText(lines.join("\n")))
      assert.strictEqual(error.line, 3)
      assert.match(error.message, /^Line 3 of the recording is not valid: .*\["to"\]/s)
    })
  )

  it.effect("replays answers and progress in order and in time, whatever the ids", () =>
    Effect.gen(function* () {
      const source = Recording.replay(yield* recorded, { secrets: [card] })
      const connection = yield* inTime(connect(source))
      const seen: Array<unknown> = []
      yield* inTime(connection.callTool({ tool: "search", arguments: { card, query: "emma" } }))
      const fiber = yield* Effect.forkChild(search(connection, "dune", seen), { startImmediately: true })
      yield* TestPool.adjust("1999 millis")
      assert.deepStrictEqual(seen, [[1, "looking for dune"]])
      yield* TestPool.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(fiber)).text, "found dune with Bearer <redacted>")
      assert.deepStrictEqual(seen, [
        [1, "looking for dune"],
        [2, "still looking for dune"]
      ])
    })
  )

  it.effect("replays a whole pool, and the last answer again", () =>
    Effect.gen(function* () {
      const source = Recording.replay(yield* recorded, { secrets: [card] })
      const call = { server: "library", tool: "search", arguments: { card, query: "emma" } }
      const texts = yield* inTime(
        Effect.gen(function* () {
          const pool = yield* McpPool.McpPool
          return [(yield* pool.callTool(call)).text, (yield* pool.callTool(call)).text]
        }).pipe(Effect.provide(McpPool.layer({ servers: { library: source } })), Effect.provide(McpNode.layer))
      )
      assert.deepStrictEqual(
        texts,
        Array.from({ length: 2 }, () => "found emma with Bearer <redacted>")
      )
    })
  )

  it.effect("refuses what was not recorded, and names the nearest that was", () =>
    Effect.gen(function* () {
      const source = Recording.replay(yield* recorded, { secrets: [card] })
      const connection = yield* inTime(connect(source))
      const error = yield* Effect.flip(inTime(search(connection, "dune messiah")))
      const refusal = Option.getOrThrow(Recording.notRecorded(error))
      assert.include(refusal.request, "dune messiah")
      assert.notInclude(refusal.request, card)
      assert.match(refusal.nearest ?? "", /^"tools\/call" with .*"query":"dune"/)
      assert.include(error.message, refusal.message)
    })
  )

  it.effect("stops answering a call that was cancelled", () =>
    Effect.gen(function* () {
      const source = Recording.replay(yield* recorded, { secrets: [card] })
      const connection = yield* inTime(connect(source))
      const seen: Array<unknown> = []
      const fiber = yield* Effect.forkChild(search(connection, "dune", seen), { startImmediately: true })
      yield* TestPool.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      yield* TestPool.adjust("1 minute")
      assert.strictEqual(seen.length, 1)
      assert.strictEqual((yield* connection.diagnostics).strays, 0)
    })
  )

  it.effect("holds back what the server said after an answer of ours until that answer comes", () =>
    Effect.gen(function* () {
      const frame = (to: "server" | "client", frame: Record<string, Schema.Json>) => ({
        to,
        connection: 1,
        at: 0,
        frame
      })
      const { header } = yield* recorded
      const source = Recording.replay({
        header,
        frames: [
          frame("server", { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "ask" } }),
          frame("client", { jsonrpc: "2.0", id: "q", method: "elicitation/create", params: {} }),
          frame("server", { jsonrpc: "2.0", id: "q", result: {} }),
          frame("client", { jsonrpc: "2.0", id: 1, result: {} })
        ]
      })
      const received: Array<unknown> = []
      const transport = yield* Effect.orDie(source.make)
      transport.onmessage = (message: JSONRPCMessage) => void received.push("id" in message ? message.id : undefined)
      yield* Effect.promise(() => transport.start())
      yield* Effect.promise(() =>
        transport.send({ jsonrpc: "2.0", id: 77, method: "tools/call", params: { name: "ask" } })
      )
      yield* TestPool.adjust(1)
      assert.deepStrictEqual(received, ["q"])
      yield* Effect.promise(() => transport.send({ jsonrpc: "2.0", id: "q", result: {} }))
      yield* TestPool.adjust(1)
      assert.deepStrictEqual(received, ["q", 77])
    })
  )

  it.effect("passes on all of a transport: errors, its end, its session", () =>
    Effect.gen(function* () {
      const [inner] = InMemoryTransport.createLinkedPair()
      const transport: Transport = inner
      const recorder = yield* Recording.record(ServerSource.fromTransport("inner", Effect.succeed(transport)))
      const outer = yield* Effect.orDie(recorder.source.make)
      const told: Array<string> = []
      outer.onerror = (error) => void told.push(error.message)
      outer.onclose = () => void told.push("closed")
      yield* Effect.promise(() => outer.start())
      transport.sessionId = "of the server"
      assert.strictEqual(outer.sessionId, "of the server")
      transport.onerror?.(new Error("lost"))
      yield* Effect.promise(() => outer.close())
      assert.deepStrictEqual(told, ["lost", "closed"])
    })
  )
})

describe("Recording of a server that is data", () => {
  const callAndReplay = (config: Parameters<typeof Recording.recordServer>[1]) =>
    Effect.gen(function* () {
      const recorder = yield* Recording.recordServer("library", config, { secrets: [card] })
      const call = { server: "library", tool: "search", arguments: { card, query: "dune" } }
      const callOnce = (server: ServerSource.Server) =>
        Effect.gen(function* () {
          const pool = yield* McpPool.McpPool
          const { text } = yield* pool.callTool(call)
          const catalog = yield* pool.catalog
          return [text, ...catalog.servers.flatMap(({ tools }) => tools).map(({ name }) => name)]
        }).pipe(Effect.provide(McpPool.layer({ servers: { library: server } })))
      const first = yield* callOnce(recorder.source)
      const recording = yield* recorder.recording
      assert.notInclude(Recording.toText(recording), card)
      const again = yield* callOnce(Recording.replay(recording, { secrets: [card] }))
      assert.strictEqual(first[0], "found dune with Bearer sk-of-the-server")
      assert.strictEqual(again[0], "found dune with Bearer <redacted>")
      assert.deepStrictEqual(again.slice(1), first.slice(1))
    }).pipe(Effect.provide(McpNode.layer))

  it.live("listens in on the streams of a process", () =>
    callAndReplay(ScriptedServer.stdio({ module, export: "quick" }))
  )

  for (const answers of ["json", "sse"] as const) {
    it.live(`listens in on HTTP that answers with ${answers}`, () =>
      Effect.gen(function* () {
        const { quick } = yield* Effect.promise(() => import("./support/recorded.ts"))
        const { config } = yield* ScriptedServer.http(quick, { answers })
        yield* callAndReplay(config)
      })
    )
  }
})
