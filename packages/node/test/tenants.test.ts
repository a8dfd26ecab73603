import { assert, describe, it } from "@effect/vitest"
import { McpNamespaces, McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Effect, Layer, Random } from "effect"
import { alive, fixture, makeTag } from "./system.ts"

const namesIn = (text: string): ReadonlyArray<string> => [...new Set(text.match(/tenant-\d/g))]

describe("with real processes", () => {
  it.live(
    "tenants have processes of their own, which are given nothing of another's, under load and losses",
    () => {
      const tag = makeTag()
      const one = ServerConfig.stdio({
        command: process.execPath,
        args: [fixture("server.mjs"), "--tenant=${namespace}"],
        env: { TAG: tag, TENANT: "secret of ${namespace}" },
        closeTimeout: "3 seconds"
      })
      const Tenants = Layer.provide(McpNamespaces.layer({ servers: { one, two: one } }), McpNode.layer)
      const tenants = Array.from({ length: 5 }, (_, n) => `tenant-${n}`)

      const work = (tenant: string) =>
        Effect.gen(function* () {
          const pool = yield* McpPool.McpPool
          const pids = new Set<string>()
          for (let step = 0; step < 12; step++) {
            const server = (yield* Random.nextBoolean) ? "one" : "two"
            // Its end is its own tenant's affair only.
            if (step === 5) yield* Effect.flip(pool.callTool({ server: "one", tool: "drop" }))
            const [env, argv, pid] = yield* Effect.all(
              ["env", "argv", "pid"].map((tool) => Effect.map(pool.callTool({ server, tool }), ({ text }) => text)),
              { concurrency: "unbounded" }
            )
            assert.deepStrictEqual(namesIn(env!), [tenant])
            assert.deepStrictEqual(namesIn(argv!), [tenant])
            pids.add(pid!)
          }
          return pids
        }).pipe(Effect.provide(McpNamespaces.get(tenant)))

      return Effect.gen(function* () {
        const pids = yield* Effect.forEach(tenants, work, { concurrency: "unbounded" })
        const all = pids.flatMap((own) => [...own])
        assert.lengthOf(new Set(all), all.length)
        const namespaces = yield* McpNamespaces.McpNamespaces
        assert.sameMembers([...(yield* namespaces.list)], tenants)
        assert.isTrue(yield* namespaces.close("tenant-0"))
        assert.lengthOf(yield* alive(tag), (yield* namespaces.stats).connections)
        assert.lengthOf(yield* namespaces.list, 4)
      }).pipe(
        Effect.provide(Tenants),
        Effect.andThen(alive(tag)),
        Effect.map((left) => assert.deepStrictEqual(left, [])),
        Random.withSeed("real tenants")
      )
    },
    60_000
  )

  it.live(
    "an exclusive server has a process for each borrower, and none when it is closed",
    () => {
      const tag = makeTag()
      const browser = ServerConfig.stdio({
        command: process.execPath,
        args: [fixture("server.mjs")],
        env: { TAG: tag },
        sharing: "exclusive",
        exclusive: { max: 3 },
        closeTimeout: "3 seconds"
      })
      return Effect.gen(function* () {
        const pool = yield* McpPool.McpPool
        const pid = Effect.map(pool.callTool({ server: "browser", tool: "pid" }), ({ text }) => text)
        const lease = pool.use("browser", (it) =>
          Effect.gen(function* () {
            const [first, second] = [yield* it.callTool({ tool: "pid" }), yield* it.callTool({ tool: "pid" })]
            assert.strictEqual(first.text, second.text)
            return first.text
          })
        )
        const used = yield* Effect.all([lease, lease, lease, pid, pid, pid, lease], { concurrency: "unbounded" })
        assert.isAtMost(new Set(used).size, 3)
        // Each of those that hold one at the same time has its own.
        const held = yield* Effect.scoped(
          Effect.forEach([1, 2, 3], () =>
            Effect.flatMap(pool.get("browser"), (it) => Effect.map(it.callTool({ tool: "pid" }), ({ text }) => text))
          )
        )
        assert.lengthOf(new Set(held), 3)
        assert.sameMembers(
          (yield* alive(tag)).map(({ pid }) => String(pid)),
          held
        )
        // Restarted under a lease: its next call fails, and the next caller has another process.
        yield* pool.use("browser", (it) =>
          Effect.gen(function* () {
            const { text } = yield* it.callTool({ tool: "pid" })
            yield* Effect.flip(it.callTool({ tool: "drop" }))
            const { reason } = yield* Effect.flip(it.callTool({ tool: "pid" }))
            assert.deepInclude(reason, { _tag: "ConnectionLost", delivery: "NotSent" })
            assert.notStrictEqual(yield* pid, text)
          })
        )
      }).pipe(
        Effect.provide(Layer.provide(McpPool.layer({ servers: { browser } }), McpNode.layer)),
        Effect.andThen(alive(tag)),
        Effect.map((left) => assert.deepStrictEqual(left, []))
      )
    },
    60_000
  )
})
