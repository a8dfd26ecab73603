import { assert, describe, it } from "@effect/vitest"
import { HttpDispatcher, McpConnection, McpPool, ProcessOwner, ServerConfig } from "@scoped-mcp/core"
import { Effect, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as Pool from "../support/pool.ts"

interface Sent {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly params: Readonly<Record<string, unknown>>
}

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly result?: unknown
  readonly error?: unknown
}

/** Answers each request at once; nothing: never. */
const serving = (sent: Array<Sent>, answer: (sent: Sent) => Answer | undefined) =>
  Layer.merge(
    Layer.succeed(ProcessOwner.ProcessOwner, {
      added: () => ({}),
      killAll: () => {},
      spawn: ({ command }) => Effect.fail(new ProcessOwner.SpawnFailed({ command, detail: "no processes here" }))
    }),
    Layer.succeed(HttpDispatcher.HttpDispatcher, {
      fetch: () => Promise.reject(new Error("nobody fetches")),
      dispatch: ({ body, headers, method }, listener) => {
        let aborted = false
        const frame = body === undefined ? {} : (JSON.parse(body) as Record<string, unknown>)
        queueMicrotask(() => {
          if (aborted) return
          if (method !== "POST") {
            listener.onResponse(method === "DELETE" ? 200 : 405, () => undefined)
            return listener.onEnd()
          }
          const request: Sent = {
            method: String(frame["method"]),
            headers,
            params: (frame["params"] ?? {}) as Sent["params"]
          }
          sent.push(request)
          const given: Answer | undefined = frame["id"] === undefined ? { status: 202 } : answer(request)
          if (given === undefined) return
          const { error, headers: extra = {}, result, status = 200 } = given
          const told: Readonly<Record<string, string>> = { "content-type": "application/json", ...extra }
          listener.onResponse(status, (name) => told[name.toLowerCase()])
          const value = error === undefined ? { result } : { error }
          if (aborted) return
          if (result !== undefined || error !== undefined) {
            listener.onData(new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", id: frame["id"], ...value })))
          }
          listener.onEnd()
        })
        return () => {
          aborted = true
        }
      }
    })
  )

const config = (options: Partial<ServerConfig.HttpOptions> = {}) =>
  ServerConfig.http({ url: "https://example.com/mcp", ...options })

const discovered = { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} } }

const initialized = ({ params }: Sent): Answer => ({
  result: {
    protocolVersion: params["protocolVersion"],
    capabilities: { tools: {} },
    serverInfo: { name: "old", version: "1" }
  }
})

const methods = (sent: ReadonlyArray<Sent>) => sent.map(({ method }) => method)

/** Speaks 2025 only, and meets the probe with this. */
const legacy =
  (probe: Answer | undefined) =>
  (sent: Sent): Answer | undefined =>
    sent.method === "server/discover"
      ? probe
      : sent.method === "initialize"
        ? initialized(sent)
        : { result: { content: [] } }

const modern = (sent: Sent): Answer =>
  sent.method === "server/discover"
    ? { result: discovered }
    : { result: { resultType: "complete", content: [], tools: [] } }

const open = (answer: (sent: Sent) => Answer | undefined, options?: Partial<ServerConfig.HttpOptions>) => {
  const sent: Array<Sent> = []
  return Effect.map(
    McpConnection.make("web", config(options)).pipe(Effect.provide(serving(sent, answer))),
    (connection) => ({ connection, sent })
  )
}

describe("the era of a server over HTTP", () => {
  it.effect("is asked for in the new way first, which is one request, and says what it speaks", () =>
    Effect.gen(function* () {
      const { connection, sent } = yield* open(modern)
      assert.strictEqual(connection.info.era, "modern")
      yield* connection.callTool({ tool: "t" })
      assert.deepStrictEqual(methods(sent), ["server/discover", "tools/call"])
      for (const { headers, method } of sent) {
        assert.deepInclude(headers, { "mcp-protocol-version": "2026-07-28", "mcp-method": method })
        assert.notProperty(headers, "mcp-session-id")
      }
      assert.strictEqual(sent[1]!.headers["mcp-name"], "t")
    })
  )

  it.effect.each([
    ["400", { status: 400 }],
    ["404", { status: 404 }],
    ["405", { status: 405 }],
    ["500, as some do", { status: 500 }],
    ["400 and a JSON-RPC error", { status: 400, error: { code: -32_000, message: "no session" } }],
    ["an error in a 200", { error: { code: -32_601, message: "Method not found" } }],
    [
      "old versions only",
      { status: 400, error: { code: -32_022, message: "no", data: { supported: ["2025-11-25"] } } }
    ],
    ["a description of something else", { result: { supportedVersions: ["2025-11-25"], capabilities: {} } }]
  ] as const)("is the old one where the probe is met with %s", ([, probe]) =>
    Effect.gen(function* () {
      const { connection, sent } = yield* open(legacy(probe))
      assert.strictEqual(connection.info.era, "legacy")
      assert.deepStrictEqual(methods(sent), ["server/discover", "initialize", "notifications/initialized"])
      assert.notProperty(sent[1]!.headers, "mcp-protocol-version")
    })
  )

  it.effect.each([
    ["401", { status: 401 }, "AuthRequired"],
    ["403", { status: 403 }, "AuthRequired"],
    ["503 with Retry-After", { status: 503, headers: { "retry-after": "1" } }, "ConnectFailed"],
    [
      "other new versions",
      { error: { code: -32_022, message: "no", data: { supported: ["2099-01-01"] } } },
      "ConnectFailed"
    ]
  ] as const)("is not taken for the old one where the probe is met with %s", ([, probe, tag]) =>
    Effect.gen(function* () {
      const sent: Array<Sent> = []
      const error = yield* Effect.flip(
        McpConnection.make("web", config()).pipe(Effect.provide(serving(sent, legacy(probe))))
      )
      assert.strictEqual(error.reason._tag, tag)
      assert.deepStrictEqual(methods(sent), ["server/discover"])
    })
  )

  it.effect("is asked for once more where the revision is refused and then named", () =>
    Effect.gen(function* () {
      const refusal = { code: -32_022, message: "no", data: { supported: ["2026-07-28"] } }
      let refusals = 0
      const once = yield* open((asked) => (refusals++ === 0 ? { status: 400, error: refusal } : modern(asked)))
      assert.strictEqual(once.connection.info.era, "modern")
      assert.deepStrictEqual(methods(once.sent), ["server/discover", "server/discover"])
      const sent: Array<Sent> = []
      const always = serving(sent, () => ({ status: 400, error: refusal }))
      const error = yield* Effect.flip(McpConnection.make("web", config()).pipe(Effect.provide(always)))
      assert.strictEqual(error.reason._tag, "ConnectFailed")
      assert.deepStrictEqual(methods(sent), ["server/discover", "server/discover"])
    })
  )

  it.effect("is not taken for the old one where the probe is met with silence", () =>
    Effect.gen(function* () {
      const sent: Array<Sent> = []
      const opening = yield* Pool.start(
        Effect.scoped(McpConnection.make("web", config()).pipe(Effect.provide(serving(sent, legacy(undefined)))))
      )
      yield* TestClock.adjust("10 seconds")
      const exit = opening.pollUnsafe()
      assert.isDefined(exit)
      assert.deepStrictEqual(methods(sent), ["server/discover"])
    })
  )

  it.effect("is what the configuration says", () =>
    Effect.gen(function* () {
      const old = yield* open(legacy({ status: 400 }), { era: "legacy" })
      assert.deepStrictEqual(methods(old.sent), ["initialize", "notifications/initialized"])
      const sent: Array<Sent> = []
      const error = yield* Effect.flip(
        McpConnection.make("web", config({ era: "modern" })).pipe(
          Effect.provide(serving(sent, legacy({ status: 400 })))
        )
      )
      assert.strictEqual(error.reason._tag, "ConnectFailed")
      assert.deepStrictEqual(methods(sent), ["server/discover"])
    })
  )

  it.effect("is remembered by a pool, and found out anew when it was another", () => {
    const sent: Array<Sent> = []
    let answer: (sent: Sent) => Answer | undefined = legacy({ status: 400 })
    return Effect.gen(function* () {
      const pool = yield* McpPool.make({ servers: { web: config({ health: { check: "off" } }) } })
      const call = Effect.andThen(pool.reconnect("web"), pool.callTool({ server: "web", tool: "t" }))
      const seen = Effect.map(call, () => methods(sent.splice(0)))
      const handshake = ["initialize", "notifications/initialized", "tools/call"]
      assert.deepStrictEqual(yield* seen, ["server/discover", ...handshake])
      assert.deepStrictEqual(yield* seen, handshake)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* seen, ["server/discover", ...handshake])
      // It has learned the new one, and forgotten the old.
      answer = (asked) => (asked.method === "initialize" ? { status: 400 } : modern(asked))
      assert.deepStrictEqual(yield* seen, ["initialize", "server/discover", "tools/call"])
      assert.deepStrictEqual(yield* seen, ["tools/call"])
      // And the other way round.
      answer = (asked) =>
        asked.headers["mcp-protocol-version"] === "2026-07-28" ? { status: 400 } : legacy(undefined)(asked)
      assert.deepStrictEqual(yield* seen, ["tools/call", "server/discover", ...handshake])
    }).pipe(Effect.provide(serving(sent, (asked) => answer(asked))))
  })
})

describe("an era that is remembered", () => {
  const remembering = (refusal: Answer) => {
    const sent: Array<Sent> = []
    let refuses = false
    const answer = (asked: Sent): Answer => (refuses && asked.method === "tools/call" ? refusal : modern(asked))
    return Effect.gen(function* () {
      const pool = yield* McpPool.make({ servers: { web: config({ health: { check: "off" } }) } })
      const call = pool.callTool({ server: "web", tool: "t" })
      yield* call
      yield* pool.reconnect("web")
      sent.length = 0
      refuses = true
      const exit = yield* Effect.exit(call)
      return { exit, calls: methods(sent).filter((method) => method === "tools/call").length }
    }).pipe(Effect.provide(serving(sent, answer)))
  }

  it.effect.each([-32_000, -32_600, -32_601])(
    "is not disproved by a refusal that a tool which has run may give: %d in a 200",
    (code) =>
      Effect.gen(function* () {
        const { calls, exit } = yield* remembering({ error: { code, message: "from upstream" } })
        assert.deepInclude(Pool.failure(exit), { _tag: "ProtocolError", code, delivery: "Answered" })
        assert.strictEqual(calls, 1)
      })
  )

  it.effect.each([
    { status: 400 },
    { status: 404, error: { code: -32_601, message: "no such method" } },
    { status: 400, error: { code: -32_000, message: "no session" } },
    { error: { code: -32_022, message: "another version", data: { supported: ["2025-11-25"] } } }
  ])("is disproved by one that no tool gives, and the call is sent once more: %j", (refusal) =>
    Effect.map(remembering(refusal), ({ calls }) => assert.strictEqual(calls, 2))
  )
})

describe("arguments as headers", () => {
  const region = { type: "string", "x-mcp-header": "Region" }
  const tool = (name: string, properties: unknown) => ({ name, inputSchema: { type: "object", properties } })
  const tools = [tool("good", { region }), tool("bad", { region: { ...region, type: "number" } }), tool("plain", {})]

  /** Refuses a call of `good` without its header. */
  const strict = (sent: Sent): Answer => {
    if (sent.method === "server/discover") return { result: discovered }
    if (sent.method === "tools/list") return { result: { resultType: "complete", tools } }
    const args = sent.params["arguments"] as Readonly<Record<string, unknown>>
    return args["region"] === undefined || sent.headers["Mcp-Param-Region"] === args["region"]
      ? { result: { resultType: "complete", content: [] } }
      : { status: 400, error: { code: -32_020, message: "the headers and the body disagree" } }
  }

  it.effect("go with calls of tools that are known, and tools that declare them wrongly are left out by name", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    return Effect.gen(function* () {
      const { connection, sent } = yield* open(strict)
      const names = (yield* connection.listTools).map(({ name }) => name)
      assert.deepStrictEqual(names, ["good", "plain"])
      assert.include(logged.join(), '"bad"')
      const { hiddenTools } = yield* connection.diagnostics
      assert.deepStrictEqual(
        hiddenTools.map(({ tool }) => tool),
        ["bad"]
      )
      yield* connection.callTool({ tool: "good", arguments: { region: "eu" } })
      assert.strictEqual(sent.at(-1)!.headers["Mcp-Param-Region"], "eu")
      yield* connection.callTool({ tool: "plain", arguments: { other: "eu" } })
      assert.notProperty(sent.at(-1)!.headers, "Mcp-Param-Region")
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("are learned once from a refusal, by listing the tools again", () =>
    Effect.gen(function* () {
      const { connection, sent } = yield* open(strict)
      yield* connection.callTool({ tool: "good", arguments: { region: "eu" } })
      assert.deepStrictEqual(methods(sent), ["server/discover", "tools/call", "tools/list", "tools/call"])
      const stubborn = yield* open((asked) =>
        asked.method === "tools/call" ? { status: 400, error: { code: -32_020, message: "never" } } : strict(asked)
      )
      const error = yield* Effect.flip(stubborn.connection.callTool({ tool: "good", arguments: { region: "eu" } }))
      assert.deepInclude(error.reason, { _tag: "ProtocolError" as const, code: -32_020 })
      assert.lengthOf(methods(stubborn.sent), 4)
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect("are not learned from what a tool that has run may have said, and the call is not sent again", () =>
    Effect.gen(function* () {
      const { connection, sent } = yield* open((asked) =>
        asked.method === "tools/call" ? { error: { code: -32_020, message: "upstream disagrees" } } : strict(asked)
      )
      const error = yield* Effect.flip(connection.callTool({ tool: "good", arguments: { region: "eu" } }))
      assert.deepInclude(error.reason, { _tag: "ProtocolError" as const, code: -32_020, delivery: "Answered" as const })
      assert.deepStrictEqual(methods(sent), ["server/discover", "tools/call"])
    })
  )

  it.effect("are learned within the limit of the call", () =>
    Effect.gen(function* () {
      const { connection, sent } = yield* open((asked) => (asked.method === "tools/list" ? undefined : strict(asked)))
      const call = { tool: "good", arguments: { region: "eu" }, timeout: "5 seconds" } as const
      const running = yield* Pool.start(connection.callTool(call))
      yield* Pool.eventually(() => sent.at(-1)!.method === "tools/list")
      yield* TestClock.adjust("5 seconds")
      assert.isDefined(running.pollUnsafe())
      // What is learned by then is of use to this call only while it has time left.
      assert.deepInclude(Pool.failure(yield* Fiber.join(running)), { code: -32_020 })
      assert.lengthOf(methods(sent), 3)
    })
  )
})

describe("what a server of the new era says wrongly", () => {
  const canary = "canary-header-123"

  it.effect.each([
    { resultType: `no ${canary} kind` },
    { resultType: "input_required", inputRequests: { [canary]: "what?" } },
    { resultType: "input_required", inputRequests: { q: { method: canary } } }
  ])("is told without our secrets, and not at length: %j", (result) =>
    Effect.gen(function* () {
      const long = {
        ...result,
        resultType: result.resultType === "input_required" ? result.resultType : canary.repeat(1_000)
      }
      for (const said of [result, long]) {
        const { connection } = yield* open(
          (asked) => (asked.method === "tools/call" ? { result: said } : modern(asked)),
          {
            headers: { "x-key": canary }
          }
        )
        const { message } = yield* Effect.flip(connection.callTool({ tool: "t" }))
        assert.notInclude(message, canary)
        assert.isBelow(message.length, 500)
      }
    })
  )

  it.effect("is no secret of ours in the name of a tool that is left out", () =>
    Effect.gen(function* () {
      const properties = { a: { type: "string", "x-mcp-header": `${canary} ` } }
      const tools = [{ name: canary, inputSchema: { type: "object", properties } }]
      const { connection } = yield* open(
        (asked) => (asked.method === "tools/list" ? { result: { resultType: "complete", tools } } : modern(asked)),
        { headers: { "x-key": canary } }
      )
      yield* connection.listTools
      const { hiddenTools } = yield* connection.diagnostics
      assert.lengthOf(hiddenTools, 1)
      assert.notInclude(JSON.stringify(hiddenTools), canary)
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
