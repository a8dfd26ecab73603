import { mkdtempSync, rmSync } from "node:fs"
import type { RequestListener } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { McpPool, ServerConfig, type ServerSource } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Effect, Fiber, Layer, Option } from "effect"
import * as Servers from "./interop/servers.ts"
import * as Uses from "./interop/uses.ts"
import { alive, eventually, makeTag, timed } from "./system.ts"

/** Runs with a pool on a platform of its own; both are gone afterwards. */
const withPool = <A, E>(source: ServerSource.Server, use: Effect.Effect<A, E, McpPool.McpPool>) =>
  Effect.provide(use, Layer.provide(McpPool.layer({ servers: { [Uses.server]: source } }), Layer.fresh(McpNode.layer)))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

/** Stands in for the service behind `context7-mcp`. */
const libraries: RequestListener = (request, response) => {
  const found = { results: [{ id: "/test/scoped", title: "Scoped", description: "pools" }] }
  response.end(request.url?.startsWith("/v2/context") ? "documentation for pools" : JSON.stringify(found))
}

/** Stands in for the service behind `notion-mcp-server`. */
const pages: RequestListener = (request, response) => {
  const known = request.url === "/v1/users/me" && request.headers.authorization === "Bearer for-the-service"
  response.writeHead(known ? 200 : 401, { "content-type": "application/json" })
  response.end(JSON.stringify(known ? { object: "user", id: "1", name: "a robot" } : { object: "error" }))
}

const everythingOverHttp = Effect.gen(function* () {
  const port = yield* Servers.freePort
  const server = yield* Servers.startEverything(port)
  const session = Effect.sync(() => /Session initialized with ID: (\S+)/.exec(server.stdout.join(""))?.[1] ?? "none")
  const released = Effect.flatMap(session, (id) =>
    server.heard(`Received session termination request for session ${id}`)
  )
  return { source: ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp` }), released }
})

const everythingOverSse = Effect.gen(function* () {
  const port = yield* Servers.freePort
  const server = yield* Servers.startEverything(port, "sse")
  const session = Effect.sync(() => /Client Connected:\s+(\S+)/.exec(server.stderr.join(""))?.[1] ?? "none")
  const released = Effect.flatMap(session, (id) => server.heard(`Client Disconnected:  ${id}`))
  return { source: ServerConfig.sse({ url: `http://127.0.0.1:${port}/sse` }), released }
})

const context7Env = Effect.map(Servers.listen(libraries), (port) => ({
  CONTEXT7_API_URL: `http://127.0.0.1:${port}`,
  CONTEXT7_TELEMETRY_DISABLED: "1"
}))

const context7OverStdio = (era: ServerConfig.Era) =>
  Effect.map(context7Env, (env) => Servers.stdio(Servers.programs.context7, ["--transport", "stdio"], env, era))

const context7OverHttp = Effect.gen(function* () {
  const port = yield* Servers.freePort
  const args = ["--transport", "http", "--port", String(port)]
  yield* Servers.running(Servers.programs.context7, args, yield* context7Env, "running on HTTP")
  return { source: ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp` }), released: Effect.void }
})

const notionEnv = Effect.map(Servers.listen(pages), (port) => ({
  BASE_URL: `http://127.0.0.1:${port}`,
  OPENAPI_MCP_HEADERS: JSON.stringify({ Authorization: "Bearer for-the-service", "Notion-Version": "2025-09-03" })
}))

const notionOverHttp = (bearer: string) =>
  Effect.gen(function* () {
    const port = yield* Servers.freePort
    const args = ["--transport", "http", "--port", String(port), "--auth-token", "for-the-pool"]
    yield* Servers.running(Servers.programs.notion, args, yield* notionEnv, "Authentication: Bearer token required")
    const headers = { Authorization: `Bearer ${bearer}` }
    return { source: ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp`, headers }), released: Effect.void }
  })

/** Every server over every transport that it offers, and what is done with it. */
const table: ReadonlyArray<readonly [name: string, start: Servers.Start, use: Uses.Use]> = [
  [
    "server-everything behind npx, over stdio",
    Effect.sync(() => Servers.behindNpx("mcp-server-everything", "stdio")),
    Uses.everything
  ],
  ["server-everything over HTTP, whose session ends with the pool", everythingOverHttp, Uses.everything],
  ["server-everything over HTTP+SSE, whose stream ends with the pool", everythingOverSse, Uses.everything],
  [
    "server-memory over stdio",
    Effect.map(folder, (folder) =>
      Servers.stdio(Servers.programs.memory, [], { MEMORY_FILE_PATH: join(folder, "graph.jsonl") })
    ),
    Uses.memory
  ],
  [
    "server-sequential-thinking over stdio",
    Effect.sync(() => Servers.stdio(Servers.programs.sequentialThinking, [])),
    Uses.sequentialThinking
  ],
  ["context7-mcp over stdio, which is asked the old way first", context7OverStdio("auto"), Uses.context7("legacy")],
  ["context7-mcp over stdio, in the modern era", context7OverStdio("modern"), Uses.context7("modern")],
  ["context7-mcp over HTTP", context7OverHttp, Uses.context7("modern")],
  [
    "notion-mcp-server over stdio",
    Effect.map(notionEnv, (env) => Servers.stdio(Servers.programs.notion, [], env)),
    Uses.notion
  ],
  ["notion-mcp-server over HTTP, which wants a bearer token", notionOverHttp("for-the-pool"), Uses.notion]
]

describe("lists, works and leaves nothing behind", () => {
  it.live.each(table)("%s", ([, start, use]) =>
    Effect.gen(function* () {
      const { released, source } = yield* start
      yield* withPool(source, use)
      yield* released
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.live("server-filesystem behind npx", () =>
    Effect.gen(function* () {
      const allowed = yield* folder
      const { released, source } = Servers.behindNpx("mcp-server-filesystem", allowed)
      yield* withPool(source, Uses.filesystem(allowed))
      yield* released
    })
  )

  it.live("notion-mcp-server over HTTP, with another token than it wants", () =>
    Effect.gen(function* () {
      const { source } = yield* notionOverHttp("of-somebody-else")
      const { reason } = yield* Effect.flip(withPool(source, Uses.catalog))
      assert.deepInclude(reason, { _tag: "AuthRequired" as const, status: 403 })
    }).pipe(Effect.provide(McpNode.layer))
  )
})

describe("is used again", () => {
  it.live("a server that is killed behind its wrapper fails its call at once, and the next call has another one", () =>
    Effect.gen(function* () {
      const tag = makeTag()
      // The process that has no child is the server itself; the others are npx and its shell.
      const real = Effect.map(alive(tag), (seen) =>
        seen.filter(({ pid }) => seen.every(({ parent }) => parent !== pid))
      )
      const use = Effect.gen(function* () {
        const pool = yield* McpPool.McpPool
        yield* Uses.echo()
        const [first] = yield* real
        let started = false
        const running = yield* Effect.forkChild(
          Effect.flip(pool.callTool(Uses.longRunning(10, () => (started = true))))
        )
        yield* eventually(
          Effect.sync(() => started),
          (told) => told
        )
        process.kill(first!.pid, "SIGKILL")
        const lost = yield* timed(Fiber.join(running))
        assert.deepInclude(lost.value.reason, { _tag: "ConnectionLost" as const, delivery: "OutcomeUnknown" as const })
        assert.isBelow(lost.millis, 2_000)
        const back = yield* timed(Uses.echo())
        assert.strictEqual(back.value, "Echo: hello")
        const after = yield* real
        assert.lengthOf(after, 1)
        assert.notStrictEqual(after[0]!.pid, first!.pid)
        yield* Effect.logInfo(`kill to error ${Math.round(lost.millis)} ms, to recovery ${Math.round(back.millis)} ms`)
      })
      yield* withPool(Servers.npx(tag, "mcp-server-everything", "stdio"), use)
      assert.deepStrictEqual(yield* alive(tag), [])
    })
  )

  /** Started on one port, killed in the midst of a call, and started again. */
  const restarted = (transport: "streamableHttp" | "sse", source: (port: number) => ServerSource.Server) =>
    Effect.gen(function* () {
      const port = yield* Servers.freePort
      const first = yield* Servers.startEverything(port, transport)
      const use = Effect.gen(function* () {
        const pool = yield* McpPool.McpPool
        yield* Uses.echo()
        const running = yield* Effect.forkChild(Effect.flip(pool.callTool(Uses.longRunning(10))))
        yield* eventually(pool.stats, (stats) => stats.running === 1)
        process.kill(first.pid, "SIGKILL")
        const lost = yield* timed(Fiber.join(running))
        assert.deepInclude(lost.value.reason, { _tag: "ConnectionLost" as const, delivery: "OutcomeUnknown" as const })
        // The rest of an answer may be had from a later stream, which is tried for a while; here there is none.
        assert.isBelow(lost.millis, transport === "sse" ? 2_000 : 12_000)
        // A socket that was kept alive may have to be found dead first; after that nobody listens.
        yield* eventually(Effect.flip(Uses.echo()), ({ delivery }) => delivery === "NotSent")
        yield* Servers.startEverything(port, transport)
        const back = yield* timed(eventually(Effect.option(Uses.echo()), Option.isSome))
        yield* Effect.logInfo(`used again ${Math.round(back.millis)} ms after it listened`)
      }).pipe(Effect.provide(McpNode.layer))
      yield* withPool(source(port), Effect.scoped(use))
    }).pipe(Effect.provide(McpNode.layer))

  it.live("server-everything over HTTP is used again after a restart on the same port", () =>
    restarted("streamableHttp", (port) => ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp` }))
  )

  it.live("server-everything over HTTP+SSE is used again after a restart on the same port", () =>
    restarted("sse", (port) => ServerConfig.sse({ url: `http://127.0.0.1:${port}/sse` }))
  )
})
