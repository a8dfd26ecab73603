import { assert, describe, it } from "@effect/vitest"
import { LogLevels, McpConnection, type McpPool, ServerSource } from "@scoped-mcp/core"
import { Context, Effect, Layer, Logger, type LogLevel, Metric, References, Tracer } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "./support/platform.ts"
import { eventually, make, reasonOf } from "./support/pool.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

const server = "memory"
const echo = { server, tool: "echo" } as const

interface Logged {
  readonly level: LogLevel.LogLevel
  readonly text: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly hasCause: boolean
}

const logged = () => {
  const lines: Array<Logged> = []
  const logger = Logger.make(({ cause, fiber, logLevel, message }) => {
    lines.push({
      level: logLevel,
      text: String(Array.isArray(message) ? message[0] : message),
      annotations: fiber.getRef(References.CurrentLogAnnotations),
      hasCause: cause.reasons.length > 0
    })
  })
  return { lines, layer: Logger.layer([logger]) }
}

describe("statistics", () => {
  it.effect("tell latencies, failures, restarts and the era", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* make({ memory: peer.source() })
      yield* pool.callTool(echo)
      yield* pool.callTool(echo)
      yield* reasonOf(pool.callTool({ server, tool: "die" }))
      yield* eventually(() => Effect.map(Effect.orDie(pool.status(server)), ({ status }) => status === "Ready"))
      const stats = (yield* pool.stats).servers[0]!
      assert.strictEqual(stats.latency.count, 2)
      assert.deepInclude(stats, { opened: 2, lost: 1, restarts: 1, connectFailures: 0, connections: 1, era: "legacy" })
      assert.deepStrictEqual(
        stats.lastErrors.map(({ at, reason }) => [at, reason]),
        [[0, "ConnectionLost"]]
      )
      assert.isUndefined(stats.lastError)
    })
  )

  it.effect("keep the last five failures, and tell when the circuit lets an attempt through", () =>
    Effect.gen(function* () {
      const down = new ScriptedPeer({ handshake: () => "drop" })
      const pool = yield* make({ memory: down.source({ keepAlive: true }) })
      yield* reasonOf(pool.callTool(echo))
      for (let second = 0; second < 40; second++) {
        yield* TestClock.adjust("1 second")
        yield* Effect.yieldNow
      }
      const stats = (yield* pool.stats).servers[0]!
      assert.lengthOf(stats.lastErrors, 5)
      assert.isAbove(stats.connectFailures, 5)
      assert.isAbove(stats.lastErrors[4]!.at, stats.lastErrors[0]!.at)
      assert.isAbove(stats.retryAfterMillis!, 0)
    })
  )
})

describe("metrics", () => {
  const values = (context: Context.Context<never>) =>
    Object.fromEntries(Metric.snapshotUnsafe(context).map((metric) => [metric.id, metric]))

  it.effect("show the figures under stable names, and go with the pool", () => {
    const registry = new Map()
    const context = Context.make(Metric.MetricRegistry, registry)
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const peer = new ScriptedPeer()
          const pool = yield* make({ memory: peer.source() }, { namespace: "acme" })
          yield* pool.callTool(echo)
          yield* Effect.ignore(pool.callTool({ server, tool: "fail" }))
          const seen = values(context)
          assert.deepStrictEqual(seen["mcp_connections_active"]!.state, { value: 1 })
          assert.deepStrictEqual(seen["mcp_connections_active"]!.attributes, { namespace: "acme", server })
          assert.deepStrictEqual(seen["mcp_connections_opened_total"]!.state, { count: 1, incremental: true })
          assert.deepStrictEqual(seen["mcp_pool_calls_running"]!.attributes, { namespace: "acme" })
          const calls = seen["mcp_calls_total"]!.state as Metric.FrequencyState
          assert.deepStrictEqual([calls.occurrences.get("succeeded"), calls.occurrences.get("toolFailed")], [1, 1])
          assert.strictEqual((seen["mcp_call_latency_ms"]!.state as Metric.HistogramState).count, 2)
          const before = registry.size
          yield* pool.replace(server, peer.source({ maxConcurrency: 2 }))
          assert.strictEqual(registry.size, before)
          assert.deepStrictEqual(values(context)["mcp_connections_opened_total"]!.state, {
            count: 0,
            incremental: true
          })
        })
      )
      assert.strictEqual(registry.size, 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, registry))
  })
})

describe("spans", () => {
  const traced = <A, E>(use: (pool: McpPool.McpPoolService) => Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const pool = yield* make({ memory: new ScriptedPeer().source() }, { namespace: "acme" })
      yield* use(pool).pipe(Effect.provideService(Tracer.Tracer, tracer))
      return spans
    })

  it.effect("are made under a span of the caller's only", () =>
    Effect.gen(function* () {
      assert.lengthOf(yield* traced((pool) => pool.callTool(echo)), 0)
      const spans = yield* traced((pool) => Effect.withSpan(pool.callTool(echo), "turn"))
      assert.deepStrictEqual(
        spans.map(({ name }) => name),
        ["turn", "McpPool.callTool"]
      )
      assert.deepStrictEqual(Object.fromEntries(spans[1]!.attributes), { namespace: "acme", server, tool: "echo" })
    })
  )
})

describe("logs", () => {
  it.effect("tell of a connection's life with level and annotations", () => {
    const { layer, lines } = logged()
    return Effect.gen(function* () {
      const pool = yield* make({ memory: new ScriptedPeer().source() }, { namespace: "acme" })
      yield* pool.callTool(echo)
      yield* reasonOf(pool.callTool({ server, tool: "die" }))
      yield* pool.callTool(echo)
      yield* pool.close
      const of = (text: string) => lines.filter((line) => line.text === text)
      const opened = of("MCP connection opened")[0]!
      assert.strictEqual(opened.level, "Info")
      assert.deepInclude(opened.annotations, { server, namespace: "acme" })
      assert.match(String(opened.annotations["instanceId"]), /^memory-/)
      const failed = of("MCP server failed")[0]!
      assert.strictEqual(failed.level, "Info")
      assert.strictEqual(failed.annotations["reason"], "ConnectionLost")
      assert.match(String(failed.annotations["error"]), /^The connection to "memory" was lost/)
      assert.lengthOf(of("MCP server is ready again"), 1)
      assert.deepInclude(of("MCP connection closed")[0]!, { level: "Info" })
      assert.deepInclude(of("Closing all MCP connections")[0]!, { level: "Info" })
      assert.deepInclude(of("All MCP connections closed")[0]!.annotations, { closedCount: 1, namespace: "acme" })
      // Too low for the program.
      assert.lengthOf(of("Releasing MCP connection"), 0)
    }).pipe(Effect.provide(layer))
  })

  it.effect("tell of a close that failed, with its cause", () => {
    const { layer, lines } = logged()
    return Effect.gen(function* () {
      const broken = Layer.effect(
        McpConnection.McpConnection,
        Effect.andThen(
          Effect.addFinalizer(() => Effect.die("a broken finalizer")),
          McpConnection.make("broken", new ScriptedPeer().source())
        )
      ).pipe(Layer.provide(Platform.none))
      const pool = yield* make({ memory: ServerSource.fromLayer("broken", broken) })
      yield* pool.callTool(echo)
      yield* pool.close
      const error = lines.find(({ level }) => level === "Error")!
      assert.deepInclude(error, { text: "MCP connection failed to close", hasCause: true })
    }).pipe(Effect.provide(layer))
  })

  it.effect("are switched by subsystem", () => {
    const { layer, lines } = logged()
    return Effect.gen(function* () {
      const pool = yield* make({ memory: new ScriptedPeer().source() })
      yield* pool.callTool(echo)
      yield* reasonOf(pool.callTool({ server, tool: "die" }))
      yield* pool.close
      const texts = new Set(lines.map(({ text }) => text))
      assert.isTrue(texts.has("Releasing MCP connection"))
      assert.isFalse(texts.has("MCP server failed"))
    }).pipe(Effect.provideService(LogLevels.LogLevels, { resources: "Debug", protocol: "None" }), Effect.provide(layer))
  })

  it.live("warn of a close that took longer than its limit, with the limit", () => {
    const { layer, lines } = logged()
    return Effect.gen(function* () {
      const stuck = new ScriptedPeer({ closing: () => new Promise(() => {}) })
      const pool = yield* make({ memory: stuck.source({ closeTimeout: "100 millis" }) })
      yield* pool.callTool(echo)
      yield* pool.close
      const warning = lines.find(({ level }) => level === "Warn")!
      assert.strictEqual(warning.text, "Closing MCP connection timed out after 0.1s")
      assert.deepInclude(warning.annotations, { server, limit: "0.1s" })
    }).pipe(Effect.provide(layer))
  })
})
