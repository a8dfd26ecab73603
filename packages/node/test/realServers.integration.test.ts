import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Duration, Effect, Fiber, Layer, Option } from "effect"
import { alive, eventually, makeTag, spawn, timed } from "./system.ts"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const everything = join(root, "node_modules/@modelcontextprotocol/server-everything/dist/index.js")

/** As people write it into their configuration: a wrapper in front of the server. */
const npx = (tag: string, ...args: ReadonlyArray<string>) =>
  ServerConfig.stdio({ command: "npx", args, cwd: root, env: { TAG: tag }, connectTimeout: "20 seconds" })

/** Runs with a pool on a platform of its own; both are gone afterwards. */
const withPool = <A, E, R>(
  servers: McpPool.Options["servers"],
  use: (pool: McpPool.McpPoolService) => Effect.Effect<A, E, R>
) =>
  Effect.flatMap(McpPool.McpPool, use).pipe(
    Effect.provide(Layer.provide(McpPool.layer({ servers }), Layer.fresh(McpNode.layer)))
  )

const longRunning = (duration: number, onProgress?: (step: number) => void) => ({
  server: "it",
  tool: "trigger-long-running-operation",
  arguments: { duration, steps: 5 },
  onProgress: ({ progress }: { readonly progress: number }) => onProgress?.(progress)
})

const echo = (pool: McpPool.McpPoolService, message = "hello") =>
  Effect.map(pool.callTool({ server: "it", tool: "echo", arguments: { message } }), ({ text }) => text)

/** Everything that `server-everything` offers, through the pool. */
const tryOut = Effect.fnUntraced(function* (pool: McpPool.McpPoolService) {
  const { prompts, resourceTemplates, resources, tools } = yield* pool.catalogOf("it")
  for (const list of [prompts, resources, resourceTemplates, tools]) assert.isAbove(list.length, 1)
  assert.strictEqual(yield* echo(pool), "Echo: hello")

  const weather = yield* pool.callTool({
    server: "it",
    tool: "get-structured-content",
    arguments: { location: "Chicago" }
  })
  assert.hasAllKeys(weather.structuredContent, ["temperature", "conditions", "humidity"])

  const steps: Array<number> = []
  yield* pool.callTool(longRunning(0.1, (step) => steps.push(step)))
  assert.deepStrictEqual(steps, [1, 2, 3, 4, 5])

  const uri = "demo://resource/dynamic/text/7"
  const { contents } = yield* pool.readResource({ server: "it", uri })
  assert.deepInclude(contents[0], { uri })
  const { messages } = yield* pool.getPrompt({ server: "it", prompt: "args-prompt", arguments: { city: "Ulm" } })
  assert.include(JSON.stringify(messages), "Ulm")
  const { values } = yield* pool.complete({
    server: "it",
    ref: { prompt: "completable-prompt" },
    argument: { name: "name", value: "B" },
    context: { department: "Engineering" }
  })
  assert.deepStrictEqual(values, ["Bob"])

  let started = false
  const abandoned = yield* Effect.forkChild(pool.callTool(longRunning(5, () => (started = true))))
  yield* eventually(
    Effect.sync(() => started),
    (told) => told
  )
  yield* Fiber.interrupt(abandoned)
  assert.strictEqual(yield* echo(pool, "still here"), "Echo: still here")
  assert.strictEqual((yield* pool.stats).running, 0)
})

it.live("server-everything behind npx, over stdio", () =>
  Effect.gen(function* () {
    const tag = makeTag()
    yield* withPool({ it: npx(tag, "mcp-server-everything", "stdio") }, (pool) =>
      Effect.gen(function* () {
        yield* tryOut(pool)
        assert.isAtLeast((yield* alive(tag)).length, 2)
      })
    )
    assert.deepStrictEqual(yield* alive(tag), [])
  })
)

it.live("server-filesystem behind npx", () =>
  Effect.gen(function* () {
    const tag = makeTag()
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
    yield* withPool({ files: npx(tag, "mcp-server-filesystem", folder) }, (pool) =>
      Effect.gen(function* () {
        const path = join(folder, "a.txt")
        yield* pool.callTool({ server: "files", tool: "write_file", arguments: { path, content: "written" } })
        const listing = yield* pool.callTool({ server: "files", tool: "list_directory", arguments: { path: folder } })
        assert.include(listing.text, "a.txt")
        const outside = yield* Effect.flip(
          pool.callTool({ server: "files", tool: "read_text_file", arguments: { path: "/etc/hostname" } })
        )
        assert.strictEqual(outside.reason._tag, "ToolError")
      })
    )
    assert.deepStrictEqual(yield* alive(tag), [])
  })
)

it.live("a server that is killed behind its wrapper fails its call at once, and the next call has another one", () =>
  Effect.gen(function* () {
    const tag = makeTag()
    // The process that has no child is the server itself; the others are npx and its shell.
    const real = Effect.map(alive(tag), (seen) => seen.filter(({ pid }) => seen.every(({ parent }) => parent !== pid)))
    yield* withPool({ it: npx(tag, "mcp-server-everything", "stdio") }, (pool) =>
      Effect.gen(function* () {
        yield* echo(pool)
        const [first] = yield* real
        let started = false
        const running = yield* Effect.forkChild(Effect.flip(pool.callTool(longRunning(10, () => (started = true)))))
        yield* eventually(
          Effect.sync(() => started),
          (told) => told
        )
        process.kill(first!.pid, "SIGKILL")
        const lost = yield* timed(Fiber.join(running))
        assert.deepInclude(lost.value.reason, { _tag: "ConnectionLost" as const, delivery: "OutcomeUnknown" as const })
        assert.isBelow(lost.millis, 2_000)
        const back = yield* timed(echo(pool))
        assert.strictEqual(back.value, "Echo: hello")
        const after = yield* real
        assert.lengthOf(after, 1)
        assert.notStrictEqual(after[0]!.pid, first!.pid)
        yield* Effect.logInfo(`kill to error ${Math.round(lost.millis)} ms, to recovery ${Math.round(back.millis)} ms`)
      })
    )
    assert.deepStrictEqual(yield* alive(tag), [])
  })
)

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const startEverything = Effect.fnUntraced(function* (
  port: number,
  transport: "streamableHttp" | "sse" = "streamableHttp"
) {
  const server = yield* spawn({
    command: process.execPath,
    args: [everything, transport],
    env: { PORT: String(port) },
    inheritEnv: "minimal",
    cwd: undefined,
    stopTimeout: Duration.seconds(2)
  })
  yield* server.heard(transport === "sse" ? `running on port ${port}` : `listening on port ${port}`)
  return server
})

it.live("server-everything over HTTP, whose session ends with the pool", () =>
  Effect.gen(function* () {
    const port = yield* freePort
    const server = yield* startEverything(port)
    yield* withPool({ it: ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp` }) }, tryOut)
    const session = /Session initialized with ID: (\S+)/.exec(server.stdout.join(""))![1]!
    yield* server.heard(`Received session termination request for session ${session}`)
  }).pipe(Effect.provide(McpNode.layer))
)

it.live("server-everything over HTTP+SSE, whose stream ends with the pool", () =>
  Effect.gen(function* () {
    const port = yield* freePort
    const server = yield* startEverything(port, "sse")
    yield* withPool({ it: ServerConfig.sse({ url: `http://127.0.0.1:${port}/sse` }) }, tryOut)
    const session = /Client Connected:\s+(\S+)/.exec(server.stderr.join(""))![1]!
    yield* server.heard(`Client Disconnected:  ${session}`)
  }).pipe(Effect.provide(McpNode.layer))
)

it.live("server-everything over HTTP+SSE is used again after a restart on the same port", () =>
  Effect.gen(function* () {
    const port = yield* freePort
    const first = yield* startEverything(port, "sse")
    yield* withPool({ it: ServerConfig.sse({ url: `http://127.0.0.1:${port}/sse` }) }, (pool) =>
      Effect.gen(function* () {
        yield* echo(pool)
        const running = yield* Effect.forkChild(Effect.flip(pool.callTool(longRunning(10))))
        yield* eventually(pool.stats, (stats) => stats.running === 1)
        process.kill(first.pid, "SIGKILL")
        const lost = yield* timed(Fiber.join(running))
        assert.deepInclude(lost.value.reason, { _tag: "ConnectionLost" as const, delivery: "OutcomeUnknown" as const })
        assert.isBelow(lost.millis, 2_000)
        yield* startEverything(port, "sse")
        yield* eventually(Effect.option(echo(pool)), Option.isSome)
      })
    )
  }).pipe(Effect.provide(McpNode.layer))
)

it.live("server-everything over HTTP is used again after a restart on the same port", () =>
  Effect.gen(function* () {
    const port = yield* freePort
    const first = yield* startEverything(port)
    yield* withPool({ it: ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp` }) }, (pool) =>
      Effect.gen(function* () {
        yield* echo(pool)
        const running = yield* Effect.forkChild(Effect.flip(pool.callTool(longRunning(10))))
        yield* eventually(pool.stats, (stats) => stats.running === 1)
        process.kill(first.pid, "SIGKILL")
        const lost = yield* Fiber.join(running)
        assert.deepInclude(lost.reason, { _tag: "ConnectionLost" as const, delivery: "OutcomeUnknown" as const })
        // A socket that was kept alive may have to be found dead first; after that nobody listens.
        yield* eventually(Effect.flip(echo(pool)), ({ delivery }) => delivery === "NotSent")
        yield* startEverything(port)
        const back = yield* timed(eventually(Effect.option(echo(pool)), Option.isSome))
        yield* Effect.logInfo(`used again ${Math.round(back.millis)} ms after it listened`)
      })
    )
  }).pipe(Effect.provide(McpNode.layer))
)
