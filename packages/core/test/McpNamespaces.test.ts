import { assert, describe, it } from "@effect/vitest"
import { McpNamespaces, McpPool, ServerConfig, ServerTemplate } from "@scoped-mcp/core"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "./support/platform.ts"
import { eventually, failure, reasonOf, start } from "./support/pool.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

/** A server of its own for each namespace, which the test sees from its side. */
const peers = (script: ConstructorParameters<typeof ScriptedPeer>[0] = {}) => {
  const known = new Map<string, ScriptedPeer>()
  const of = (namespace: string) => {
    const peer = known.get(namespace) ?? new ScriptedPeer(script)
    known.set(namespace, peer)
    return peer
  }
  return { of, servers: (namespace: string) => ({ memory: of(namespace).source() }) }
}

const make = (options: McpNamespaces.Options) => McpNamespaces.make(options).pipe(Effect.provide(Platform.none))

const echo = { server: "memory", tool: "echo", arguments: { hello: "there" } } as const
const callEcho = Effect.flatMap(McpPool.McpPool, (pool) => pool.callTool(echo))

describe("McpNamespaces", () => {
  it.effect("gives each namespace a pool of its own, and all who ask for the same one the same", () =>
    Effect.gen(function* () {
      const { of, servers } = peers()
      const program = Effect.gen(function* () {
        yield* Effect.all([callEcho, callEcho]).pipe(Effect.provide(McpNamespaces.get("acme")))
        yield* Effect.provide(callEcho, McpNamespaces.get("acme"))
        yield* Effect.provide(callEcho, McpNamespaces.get("globex"))
        const { connections, namespaces, running } = yield* Effect.flatMap(
          McpNamespaces.McpNamespaces,
          (it) => it.stats
        )
        assert.deepStrictEqual(
          namespaces.map(({ namespace, servers: [server] }) => [namespace, server?.calls.succeeded]),
          [
            ["acme", 3],
            ["globex", 1]
          ]
        )
        assert.deepStrictEqual({ connections, running }, { connections: 2, running: 0 })
      })
      yield* Effect.provide(program, Layer.provide(McpNamespaces.layer({ servers }), Platform.none))
      for (const namespace of ["acme", "globex"]) {
        assert.strictEqual(of(namespace).handshakes, 1)
        assert.lengthOf(of(namespace).open, 0)
      }
    })
  )

  it.effect("closes a pool that nobody has held for ten minutes, and makes another one then", () =>
    Effect.gen(function* () {
      const { of, servers } = peers()
      const namespaces = yield* make({ servers, limits: { closeTimeout: "1 second" } })
      yield* Effect.provide(callEcho, namespaces.get("acme"))
      yield* TestClock.adjust("9 minutes")
      yield* Effect.provide(callEcho, namespaces.get("acme"))
      assert.strictEqual(of("acme").handshakes, 1)
      yield* TestClock.adjust("10 minutes")
      yield* eventually(() => of("acme").open.length === 0)
      assert.deepStrictEqual(yield* namespaces.list, [])
      yield* Effect.provide(callEcho, namespaces.get("acme"))
      assert.strictEqual(of("acme").handshakes, 2)
    })
  )

  it.effect("closes one that is held, and its successor opens nothing before it is gone", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      const { of, servers } = peers({ closing: () => Effect.runPromise(Deferred.await(released)) })
      const namespaces = yield* make({ servers })
      const pool = yield* namespaces.pool("acme")
      yield* pool.callTool(echo)
      const closing = yield* start(namespaces.close("acme"))
      assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "PoolClosed", state: "Closed" })
      const next = yield* start(Effect.provide(callEcho, namespaces.get("acme")))
      yield* TestClock.adjust("1 second")
      assert.lengthOf(of("acme").sessions, 1)
      yield* Deferred.succeed(released, undefined)
      assert.deepStrictEqual(yield* Fiber.join(closing), Exit.succeed(true))
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(next)))
      assert.deepInclude(yield* reasonOf(pool.callTool(echo)), { _tag: "PoolClosed" })
      assert.isFalse(yield* namespaces.close("globex"))
    })
  )

  it.effect("closes all in parallel, whoever holds them, and refuses what comes after", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      let closing = 0
      const { of, servers } = peers({
        closing: () => {
          closing++
          return Effect.runPromise(Deferred.await(released))
        }
      })
      const scope = yield* Scope.make()
      const namespaces = yield* Scope.provide(make({ servers }), scope)
      const names = Array.from({ length: 20 }, (_, n) => `tenant-${n}`)
      const pools = yield* Effect.forEach(names, namespaces.pool)
      yield* Effect.forEach(pools, (pool) => pool.callTool(echo), { concurrency: "unbounded" })
      const ended = yield* start(Scope.close(scope, Exit.void))
      yield* eventually(() => closing === 20)
      yield* Deferred.succeed(released, undefined)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(ended)))
      for (const name of names) assert.lengthOf(of(name).open, 0)
      assert.deepInclude(yield* reasonOf(namespaces.pool("tenant-1").pipe(Effect.scoped)), { _tag: "NamespaceRefused" })
    })
  )

  it.effect("refuses a name that could mean something else, and more namespaces than may be", () =>
    Effect.gen(function* () {
      const namespaces = yield* make({ servers: peers().servers, maxNamespaces: 2, idleTimeToLive: "1 minute" })
      for (const name of ["", "..", "-rf", "a/b", "a b", "a\r\nb", "${HOME}", "ä", "x".repeat(65)]) {
        const refused = yield* reasonOf(Effect.scoped(namespaces.pool(name)))
        assert.deepInclude(refused, { _tag: "NamespaceRefused", namespace: name, delivery: "NotSent" })
      }
      yield* Effect.scoped(namespaces.pool("one"))
      yield* Effect.scoped(namespaces.pool("x".repeat(64)))
      const full = yield* reasonOf(Effect.scoped(namespaces.pool("three")))
      assert.include(full.message, "there are 2 already (maxNamespaces)")
      yield* Effect.scoped(namespaces.pool("one"))
      yield* TestClock.adjust("1 minute")
      yield* Effect.scoped(namespaces.pool("three"))
    })
  )

  it.effect("tells why the servers of a namespace cannot be made, and asks again for the next", () =>
    Effect.gen(function* () {
      let known = false
      const namespaces = yield* make({
        servers: (namespace) => {
          if (!known) throw new Error(`nobody knows ${namespace}`)
          return { memory: new ScriptedPeer().source() }
        }
      })
      const refused = failure(yield* Effect.exit(Effect.provide(callEcho, namespaces.get("acme"))))
      assert.strictEqual(refused.message, 'There is no pool for the namespace "acme": nobody knows acme.')
      known = true
      yield* Effect.provide(callEcho, namespaces.get("acme"))
    })
  )

  it.effect("has limits of its own for each namespace", () =>
    Effect.gen(function* () {
      const namespaces = yield* make({
        servers: peers().servers,
        limits: (namespace) => ({ maxConcurrency: namespace === "small" ? 1 : 2, overload: "reject" })
      })
      const refusals = (namespace: string) =>
        Effect.gen(function* () {
          const pool = yield* namespaces.pool(namespace)
          yield* pool.callTool(echo)
          const hanging = yield* Effect.forEach([1, 2], () => start(pool.callTool({ server: "memory", tool: "hang" })))
          const { running } = yield* pool.stats
          yield* Fiber.interruptAll(hanging)
          return running
        })
      assert.strictEqual(yield* refusals("small"), 1)
      assert.strictEqual(yield* refusals("large"), 2)
    })
  )

  it.effect("lends a pool nothing of whoever asked for it first", () =>
    Effect.gen(function* () {
      class Secret extends Context.Service<Secret, string>()("Secret") {}
      const seen: Array<unknown> = []
      const peer = new ScriptedPeer()
      const source = peer.source()
      const namespaces = yield* make({
        servers: () => ({
          memory: {
            ...source,
            make: Effect.flatMap(Effect.context<never>(), (context) => {
              seen.push(Context.getOption(context, Secret)._tag)
              return source.make
            })
          }
        })
      })
      yield* callEcho.pipe(Effect.provide(namespaces.get("acme")), Effect.provideService(Secret, "of the first caller"))
      assert.deepStrictEqual(seen, ["None"])
    })
  )
})

describe("the places of a program", () => {
  it.effect("go to namespaces in turns: one with a long queue does not hold up another", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const waiting: Array<() => void> = []
      const work = (namespace: string) => ({
        memory: new ScriptedPeer({
          tools: {
            work: ({ text }) => {
              order.push(namespace)
              waiting.push(() => text("done"))
            }
          }
        }).source({ maxConcurrency: 100 })
      })
      const namespaces = yield* make({ servers: work, maxConcurrency: 2 })
      const call = (namespace: string) =>
        Effect.flatMap(namespaces.pool(namespace), (pool) => pool.callTool({ server: "memory", tool: "work" }))
      // Open, so that only the places decide.
      for (const namespace of ["greedy", "modest", "late"]) {
        yield* Effect.flatMap(namespaces.pool(namespace), (pool) => pool.warmup())
      }
      const scope = yield* Effect.scope
      const calls = (namespace: string, count: number) =>
        Effect.forEach(Array.from({ length: count }), () => start(Scope.provide(call(namespace), scope)))
      const all = [...(yield* calls("greedy", 60)), ...(yield* calls("modest", 3)), ...(yield* calls("late", 1))]
      yield* eventually(() => order.length === 2)
      assert.deepInclude(yield* namespaces.stats, { running: 2, waiting: 62 })
      for (let done = 0; done < all.length; done++) {
        yield* eventually(() => waiting.length > 0)
        waiting.shift()!()
        const more = Math.min(all.length, done + 3)
        yield* eventually(() => order.length === more)
      }
      assert.deepStrictEqual(order.slice(0, 2), ["greedy", "greedy"])
      assert.sameMembers(order.slice(2, 5), ["greedy", "modest", "late"])
      assert.strictEqual(order.slice(0, 10).filter((namespace) => namespace === "modest").length, 3)
      for (const it of all) assert.isTrue(Exit.isSuccess(yield* Fiber.join(it)))
      assert.deepInclude(yield* namespaces.stats, { running: 0, waiting: 0 })
    })
  )

  it.effect("are given back by calls that are interrupted, time out or are refused while they wait", () =>
    Effect.gen(function* () {
      const { servers } = peers()
      const namespaces = yield* make({
        servers,
        maxConcurrency: 1,
        limits: (namespace) => ({
          acquireTimeout: "5 seconds",
          overload: namespace === "curt" ? "reject" : "suspend"
        })
      })
      const [holder, waiter, curt] = yield* Effect.forEach(["holder", "waiter", "curt"], namespaces.pool)
      for (const pool of [holder!, waiter!, curt!]) yield* pool.callTool(echo)
      const held = yield* start(holder!.callTool({ server: "memory", tool: "hang" }))
      yield* eventually(() => Effect.map(holder!.stats, ({ running }) => running === 1))
      assert.deepInclude(yield* reasonOf(curt!.callTool(echo)), { _tag: "Overloaded", scope: "Program" })
      const late = yield* start(waiter!.callTool(echo))
      const interrupted = yield* start(waiter!.callTool(echo))
      assert.deepInclude(yield* waiter!.stats, { running: 0, waiting: 2 })
      yield* Fiber.interrupt(interrupted)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(failure(yield* Fiber.join(late)), { _tag: "AcquireTimeout" })
      const last = yield* start(waiter!.callTool(echo))
      yield* Fiber.interrupt(held)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(last)))
      for (const pool of [holder!, waiter!, curt!]) {
        yield* pool.callTool(echo)
        assert.deepInclude(yield* pool.stats, { running: 0, waiting: 0 })
      }
    })
  )
})

describe("ServerTemplate", () => {
  it("puts the namespace into environment, arguments and headers, and expands nothing else", () => {
    const stdio = ServerTemplate.expand(
      ServerConfig.stdio({
        command: "run",
        args: ["--tenant=${namespace}", Redacted.make("${namespace}:${namespace}"), "${HOME}", "$namespace"],
        env: { TENANT: "${namespace}", HOME: "${HOME}" }
      }),
      "acme"
    ) as ServerConfig.Stdio
    assert.deepStrictEqual(
      stdio.args.map((arg) => (typeof arg === "string" ? arg : Redacted.value(arg))),
      ["--tenant=acme", "acme:acme", "${HOME}", "$namespace"]
    )
    assert.isTrue(Redacted.isRedacted(stdio.args[1]))
    assert.deepStrictEqual(
      Object.entries(stdio.env).map(([name, value]) => [name, Redacted.value(value)]),
      [
        ["TENANT", "acme"],
        ["HOME", "${HOME}"]
      ]
    )
    const http = ServerConfig.http({ url: "https://example.com/mcp", headers: { "X-Tenant": "of ${namespace}" } })
    const { headers } = ServerTemplate.expand(http, "acme") as ServerConfig.Http
    assert.strictEqual(Redacted.value(headers["X-Tenant"]!), "of acme")
  })

  it("refuses a placeholder where a name could lead elsewhere", () => {
    const refused = [
      ServerConfig.stdio({ command: "${namespace}" }),
      ServerConfig.stdio({ command: "run", cwd: "/data/${namespace}" }),
      ServerConfig.http({ url: "https://example.com/${namespace}" })
    ]
    for (const server of refused) assert.throws(() => ServerTemplate.expand(server, "acme"), /must not hold/)
  })
})
