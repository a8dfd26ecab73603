import { assert, describe, it } from "@effect/vitest"
import { HealthCheck, McpConnection, McpError } from "@scoped-mcp/core"
import { Effect } from "effect"
import * as Platform from "./support/platform.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

const connect = (peer: ScriptedPeer) => McpConnection.make("memory", peer.source()).pipe(Effect.provide(Platform.none))

const good: HealthCheck.HealthCheck = () => Effect.succeed(HealthCheck.healthy)
const bad = (why: string): HealthCheck.HealthCheck => HealthCheck.custom(why, () => Effect.fail(new Error(`no ${why}`)))

describe("HealthCheck", () => {
  it.effect("takes any answer to a ping for a sign of life", () =>
    Effect.gen(function* () {
      const knows = yield* connect(new ScriptedPeer({ methods: { ping: () => ({}) } }))
      const knowsNot = yield* connect(new ScriptedPeer())
      assert.deepStrictEqual(yield* HealthCheck.ping(knows), HealthCheck.healthy)
      assert.deepStrictEqual(yield* HealthCheck.ping(knowsNot), HealthCheck.healthy)
    })
  )

  it.effect("does not blame the server for what our credentials lack, and does for a line that has ended", () =>
    Effect.gen(function* () {
      const connection = yield* connect(new ScriptedPeer())
      const refused = new McpError.McpError({ reason: new McpError.AuthRequired({ server: "memory", status: 401 }) })
      assert.deepStrictEqual(
        yield* HealthCheck.ping({ ...connection, ping: Effect.fail(refused) }),
        HealthCheck.healthy
      )
      yield* connection.close
      const verdict = yield* HealthCheck.ping(connection)
      assert.deepInclude(verdict, { _tag: "Unhealthy", check: "ping" })
    })
  )

  it.effect("asks for the list of tools, and whether the process runs", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const connection = yield* connect(peer)
      assert.deepStrictEqual(yield* HealthCheck.list(connection), HealthCheck.healthy)
      assert.lengthOf(peer.sent("tools/list"), 1)
      assert.deepStrictEqual(yield* HealthCheck.process(connection), HealthCheck.healthy)
      const ended = Effect.map(connection.diagnostics, (seen) => ({ ...seen, exitCode: 3 }))
      assert.deepStrictEqual(
        yield* HealthCheck.process({ ...connection, diagnostics: ended }),
        HealthCheck.unhealthy("process", "it ended (3)")
      )
    })
  )

  it.effect("composes: all fail fast, any takes the first that is well, and a name says whose it is", () =>
    Effect.gen(function* () {
      const connection = yield* connect(new ScriptedPeer())
      const asked: Array<string> = []
      const seen =
        (name: string, check: HealthCheck.HealthCheck): HealthCheck.HealthCheck =>
        (it) => {
          asked.push(name)
          return check(it)
        }
      const judge = (check: HealthCheck.HealthCheck) => check(connection)
      assert.deepStrictEqual(
        yield* judge(HealthCheck.all([seen("a", good), seen("b", bad("b")), seen("c", good)])),
        HealthCheck.unhealthy("b", "no b")
      )
      assert.deepStrictEqual(yield* judge(HealthCheck.any([seen("d", bad("d")), seen("e", good), seen("f", good)])), {
        _tag: "Healthy"
      })
      assert.deepStrictEqual(asked, ["a", "b", "d", "e"])
      assert.deepStrictEqual(
        yield* judge(HealthCheck.named("both", HealthCheck.any([bad("x"), bad("y")]))),
        HealthCheck.unhealthy("both", "x: no x; y: no y")
      )
      assert.deepStrictEqual(yield* judge(HealthCheck.all([])), HealthCheck.healthy)
      assert.deepStrictEqual(yield* judge(HealthCheck.any([])), HealthCheck.healthy)
      assert.deepInclude(yield* judge(HealthCheck.custom("bug", () => Effect.die(new Error("a bug")))), {
        check: "bug",
        why: "a bug"
      })
    })
  )
})
