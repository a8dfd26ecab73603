import { assert, describe, it } from "@effect/vitest"
import {
  type McpError,
  McpNamespaces,
  type McpPool,
  type PoolEvent,
  ServerConfig,
  ServerTemplate
} from "@scoped-mcp/core"
import { Effect, Exit, Fiber, Logger, Option, Random } from "effect"
import { TestClock } from "effect/testing"
import { eventually, recorded } from "./support/pool.ts"
import * as Tenants from "./support/tenants.ts"

const tenants = Array.from({ length: 100 }, (_, n) => `tenant-${String(n).padStart(3, "0")}`)

const namesIn = (text: string): ReadonlyArray<string> => [...new Set(text.match(/tenant-\d{3}/g))]

/** The tenants named in anything, an error with all it holds included. */
const named = (value: unknown): ReadonlyArray<string> =>
  namesIn(
    JSON.stringify(value, (_, it: unknown) =>
      it instanceof Error ? Object.assign({}, it, { message: it.message, cause: it.cause }) : it
    ) ?? ""
  )

const templates = {
  process: ServerConfig.stdio({
    command: "server",
    args: ["--tenant=${namespace}"],
    env: { TENANT: "secret of ${namespace}" },
    callTimeout: "3 seconds"
  }),
  http: ServerConfig.http({
    url: "https://example.com/mcp",
    headers: { "X-Tenant": "secret of ${namespace}" },
    callTimeout: "3 seconds"
  })
}

const servers = ["process", "http", "memory"] as const
const behaviours = ["echo", "echo", "echo", "fail", "refuse", "die", "hang"] as const

/** What one tenant has been told. */
interface Told {
  readonly tenant: string
  readonly outcomes: Array<Exit.Exit<string, McpError.McpError>>
  readonly catalogs: Array<unknown>
  readonly events: Array<PoolEvent.PoolEvent>
  readonly stats: Array<unknown>
}

const seeds = ["tenants-0", "tenants-1", "tenants-2"]

describe("isolation", () => {
  it.effect.each(seeds)("of 100 tenants with 3 servers each holds under random load and faults: %s", (seed) =>
    Effect.gen(function* () {
      const world = Tenants.make(namesIn)
      const namespaces = yield* McpNamespaces.make({
        servers: (tenant) => ({
          process: ServerTemplate.expand(templates.process, tenant),
          http: ServerTemplate.expand(templates.http, tenant),
          memory: world.peer(tenant).source({ callTimeout: "3 seconds" })
        }),
        // Fewer than want one, so that all are in the queues of the others.
        maxConcurrency: 40
      }).pipe(Effect.provide(world.platform))
      const pick = <A>(from: ReadonlyArray<A>) =>
        Effect.map(Random.nextIntBetween(0, from.length, { halfOpen: true }), (index) => from[index]!)

      const work = (pool: McpPool.McpPoolService, told: Told) =>
        Effect.gen(function* () {
          for (let step = 0; step < 12; step++) {
            const server = yield* pick(servers)
            const tool = yield* pick(behaviours)
            const call = pool.callTool({ server, tool, arguments: { canary: told.tenant } })
            told.outcomes.push(yield* Effect.exit(Effect.map(call, ({ text }) => text)))
            if (step % 6 === 5) told.catalogs.push(yield* pool.catalog)
          }
          told.stats.push(yield* pool.stats)
        })

      const tell = yield* Effect.forEach(
        tenants,
        (tenant) =>
          Effect.gen(function* () {
            const pool = yield* namespaces.pool(tenant)
            const told: Told = { tenant, outcomes: [], catalogs: [], stats: [], events: yield* recorded(pool) }
            yield* Effect.all([work(pool, told), work(pool, told)], { concurrency: "unbounded" })
            return told
          }).pipe(Effect.scoped, Effect.forkChild),
        { concurrency: 1 }
      )
      yield* Effect.forkChild(Effect.forever(Effect.andThen(TestClock.adjust("500 millis"), Effect.yieldNow)))
      const told = yield* Effect.forEach(tell, Fiber.join)
      yield* namespaces.closeAll
      yield* eventually(() => told.every(({ events }) => events.at(-1)?._tag === "PoolEnded"))

      // What the servers saw.
      for (const { of, seen } of world.journals.values()) assert.deepStrictEqual(named(seen), [of])
      assert.lengthOf(new Set([...world.journals.values()].map(({ of }) => of)), 100)
      for (const tenant of tenants) assert.lengthOf(world.peer(tenant).open, 0)

      // What the tenants were told.
      const failures = new Set<string>()
      for (const { catalogs, events, outcomes, stats, tenant } of told) {
        for (const outcome of outcomes) {
          if (Exit.isSuccess(outcome)) {
            assert.strictEqual(outcome.value, `${tenant} served ${tenant}`)
            continue
          }
          const error = Option.getOrThrow(Exit.findErrorOption(outcome))
          failures.add(error.reason._tag)
          assert.includeMembers([tenant], [...named(error)])
          assert.notInclude(error.message, "secret of")
        }
        assert.deepStrictEqual(named(catalogs), [tenant])
        assert.includeMembers([tenant], [...named(events)])
        assert.deepStrictEqual(named(stats), [tenant])
      }
      assert.includeMembers([...failures], ["ToolError", "ProtocolError", "ConnectionLost", "CallTimeout"])

      // No connection is told of twice, and each process to its own tenant.
      const opened = told.flatMap(({ events }) => events.filter((event) => event._tag === "ConnectionOpened"))
      const pids = opened.flatMap(({ pid }) => pid ?? [])
      assert.lengthOf(new Set(pids), pids.length)
      assert.isAbove(pids.length, 100)
    }).pipe(Random.withSeed(seed), Effect.provide(Logger.layer([])))
  )
})
