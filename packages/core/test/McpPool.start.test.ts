import { assert, describe, it } from "@effect/vitest"
import { ConfigFile, McpPool } from "@scoped-mcp/core"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Platform from "./support/platform.ts"
import { eventually, failure, make, reasonOf, start } from "./support/pool.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

const tool = "echo"

describe("critical servers", () => {
  it.effect("are open when the pool is there, and the others join when they can", () =>
    Effect.gen(function* () {
      const [main, slow] = [new ScriptedPeer(), new ScriptedPeer({ handshake: () => "ignore" })]
      const pool = yield* make({ main: main.source({ critical: true }), slow: slow.source(), idle: slow.source() })
      assert.strictEqual(main.handshakes, 1)
      assert.deepInclude(yield* pool.status("main"), { status: "Ready" })
      assert.deepInclude(yield* pool.status("slow"), { status: "Idle" })
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(main.open, 1)
    })
  )

  it.effect("fail the layer with their own error, within their own time, and nothing stays open", () =>
    Effect.gen(function* () {
      const [main, other] = [new ScriptedPeer(), new ScriptedPeer({ handshake: () => "ignore" })]
      const layer = McpPool.layer({
        servers: {
          main: main.source({ critical: true }),
          other: other.source({ critical: true, connectTimeout: "3 seconds" })
        }
      })
      const built = yield* start(Effect.scoped(Layer.build(Layer.provide(layer, Platform.none))))
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(built.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(built)
      assert.deepInclude(failure(exit), { _tag: "ConnectFailed", server: "other", phase: "Handshake" })
      assert.lengthOf([...main.open, ...other.open], 0)
    })
  )
})

describe("servers that depend on others", () => {
  it.effect("are opened after them and closed before them", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const released = yield* Deferred.make<void>()
      const peer = (name: string, closing: () => Promise<void> = () => Promise.resolve()) =>
        new ScriptedPeer({
          handshake: () => {
            order.push(`open ${name}`)
            return "answer"
          },
          closing: () => {
            order.push(`close ${name}`)
            return closing()
          }
        })
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(
        make({
          app: peer("app", () => Effect.runPromise(Deferred.await(released))).source({ dependsOn: ["cache", "db"] }),
          cache: peer("cache").source({ dependsOn: ["db"] }),
          db: peer("db").source(),
          other: peer("other").source()
        }),
        scope
      )
      yield* pool.callTool({ server: "app", tool })
      assert.deepStrictEqual(order, ["open db", "open cache", "open app"])
      yield* pool.callTool({ server: "other", tool })
      order.length = 0
      const closing = yield* start(Scope.close(scope, Exit.void))
      yield* eventually(() => order.length === 2)
      assert.sameMembers(order, ["close app", "close other"])
      // Nothing is opened again meanwhile, and what depends on nothing that closes is not held up.
      assert.strictEqual((yield* reasonOf(pool.callTool({ server: "db", tool })))._tag, "PoolClosed")
      yield* Deferred.succeed(released, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(order.slice(2), ["close cache", "close db"])
    })
  )

  it.effect("fail with the error of what they need", () =>
    Effect.gen(function* () {
      const [app, db] = [new ScriptedPeer(), new ScriptedPeer({ handshake: () => "drop" })]
      const pool = yield* make({ app: app.source({ dependsOn: ["db"] }), db: db.source() })
      const reason = yield* reasonOf(pool.callTool({ server: "app", tool }))
      assert.deepInclude(reason, { _tag: "ConnectFailed", server: "db" })
      assert.lengthOf(app.sessions, 0)
      db.script = { ...db.script, handshake: () => "answer" }
      yield* pool.callTool({ server: "app", tool })
    })
  )

  it.effect("are refused when they wait for each other, or for one that is not there", () =>
    Effect.gen(function* () {
      const source = (...dependsOn: ReadonlyArray<string>) => new ScriptedPeer().source({ dependsOn })
      const why = (exit: Exit.Exit<unknown, unknown>) => (Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
      const circle = yield* Effect.exit(make({ a: source("b"), b: source("c"), c: source("a") }))
      assert.include(why(circle), "dependsOn goes round in a circle: a > b > c > a")
      assert.include(why(yield* Effect.exit(make({ a: source("x") }))), '"a" depends on "x", which is no server')
      const pool = yield* make({ a: source(), b: source("a") })
      assert.include(why(yield* Effect.exit(pool.replace("a", source("b")))), "in a circle")
      assert.include(why(yield* Effect.exit(pool.register("c", source("d")))), "which is no server")
      yield* pool.callTool({ server: "b", tool })
      const file =
        "servers:\n  a: { command: x, dependsOn: [b] }\n  b: { command: x, dependsOn: [a], critical: true }\n"
      const problem = yield* Effect.flip(ConfigFile.parse("mcp.yaml", file))
      assert.include(problem.message, "mcp.yaml: dependsOn goes round in a circle: a > b > a")
    })
  )
})
