/** Real work on servers as their authors publish them, with answers that are known. */
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { type McpError, McpPool, type ToolResult } from "@scoped-mcp/core"
import { Effect, Fiber, Latch, Stream } from "effect"

export const server = "it"

/** It fails with what the pool says, or with an answer where an error was due. */
export type Use = Effect.Effect<unknown, McpError.McpError | ToolResult.ToolResult, McpPool.McpPool>

const call = (tool: string, args: Readonly<Record<string, unknown>> = {}) =>
  Effect.flatMap(McpPool.McpPool, (pool) => pool.callTool({ server, tool, arguments: args }))

const named = (tools: ReadonlyArray<{ readonly name: string }>) => tools.map(({ name }) => name)

export const catalog = Effect.flatMap(McpPool.McpPool, (pool) => pool.catalogOf(server))

export const longRunning = (duration: number, onProgress?: (step: number) => void) => ({
  server,
  tool: "trigger-long-running-operation",
  arguments: { duration, steps: 5 },
  onProgress: ({ progress }: { readonly progress: number }) => onProgress?.(progress)
})

export const echo = (message = "hello") => Effect.map(call("echo", { message }), ({ text }) => text)

/** `server-everything`: every kind there is, progress, a call that is given up, and messages it sends by itself. */
export const everything: Use = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const { prompts, resourceTemplates, resources, tools } = yield* catalog
  for (const list of [prompts, resources, resourceTemplates, tools]) assert.isAbove(list.length, 1)
  assert.strictEqual(yield* echo(), "Echo: hello")

  const weather = yield* call("get-structured-content", { location: "Chicago" })
  assert.hasAllKeys(weather.structuredContent, ["temperature", "conditions", "humidity"])

  const steps: Array<number> = []
  yield* pool.callTool(longRunning(0.1, (step) => steps.push(step)))
  assert.deepStrictEqual(steps, [1, 2, 3, 4, 5])

  const uri = "demo://resource/dynamic/text/7"
  const { contents } = yield* pool.readResource({ server, uri })
  assert.deepInclude(contents[0], { uri })
  const { messages } = yield* pool.getPrompt({ server, prompt: "args-prompt", arguments: { city: "Ulm" } })
  assert.include(JSON.stringify(messages), "Ulm")
  const { values } = yield* pool.complete({
    server,
    ref: { prompt: "completable-prompt" },
    argument: { name: "name", value: "B" },
    context: { department: "Engineering" }
  })
  assert.deepStrictEqual(values, ["Bob"])

  const logged = yield* pool.use(server, (connection) =>
    Effect.gen(function* () {
      const messages = connection.notifications.pipe(
        Stream.filter(({ method }) => method === "notifications/message"),
        Stream.take(1),
        Stream.runCollect
      )
      const first = yield* Effect.forkChild(messages, { startImmediately: true })
      yield* connection.callTool({ tool: "toggle-simulated-logging" })
      return yield* Fiber.join(first)
    })
  )
  assert.hasAllKeys(logged[0]?.params, ["level", "data"])
  yield* call("toggle-simulated-logging")

  const started = yield* Latch.make()
  const abandoned = yield* Effect.forkChild(pool.callTool(longRunning(5, () => started.openUnsafe())))
  yield* started.await
  yield* Fiber.interrupt(abandoned)
  assert.strictEqual(yield* echo("still here"), "Echo: still here")
  assert.strictEqual((yield* pool.stats).running, 0)
})

/** `server-filesystem`: writes, lists, and refuses what lies outside of its folder. */
export const filesystem = (folder: string): Use =>
  Effect.gen(function* () {
    assert.includeMembers(named((yield* catalog).tools), ["write_file", "list_directory"])
    const path = join(folder, "a.txt")
    yield* call("write_file", { path, content: "written" })
    assert.include((yield* call("list_directory", { path: folder })).text, "a.txt")
    assert.strictEqual((yield* call("read_text_file", { path })).text, "written")
    const outside = yield* Effect.flip(call("read_text_file", { path: "/etc/hostname" }))
    assert.strictEqual(outside.reason._tag, "ToolError")
  })

/** `server-memory`: a graph that grows, and can be read as a resource. */
export const memory: Use = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const { resources, tools } = yield* catalog
  assert.lengthOf(tools, 9)
  const ada = { name: "Ada", entityType: "person", observations: ["writes programs"] }
  yield* call("create_entities", { entities: [ada] })
  const found = yield* call("search_nodes", { query: "programs" })
  assert.deepStrictEqual(found.structuredContent, { entities: [ada], relations: [] })
  const { contents } = yield* pool.readResource({ server, uri: resources[0]!.uri })
  assert.include(JSON.stringify(contents), "writes programs")
})

/** `server-sequential-thinking`: counts thoughts, so two calls meet the same process. */
export const sequentialThinking: Use = Effect.gen(function* () {
  assert.deepStrictEqual(named((yield* catalog).tools), ["sequentialthinking"])
  const think = (thoughtNumber: number) =>
    call("sequentialthinking", { thought: "…", thoughtNumber, totalThoughts: 2, nextThoughtNeeded: thoughtNumber < 2 })
  assert.deepInclude((yield* think(1)).structuredContent, { thoughtHistoryLength: 1, nextThoughtNeeded: true })
  assert.deepInclude((yield* think(2)).structuredContent, { thoughtHistoryLength: 2, nextThoughtNeeded: false })
})

/** What `context7-mcp` finds at its service, whose place one of ours takes. It speaks both eras. */
export const context7 = (era: "legacy" | "modern"): Use =>
  Effect.gen(function* () {
    const pool = yield* McpPool.McpPool
    assert.strictEqual(yield* pool.use(server, ({ info }) => Effect.succeed(info.era)), era)
    assert.deepStrictEqual(named((yield* catalog).tools), ["resolve-library-id", "query-docs"])
    const { text } = yield* call("resolve-library-id", { query: "pools of connections", libraryName: "scoped" })
    assert.include(text, "/test/scoped")
    const docs = yield* call("query-docs", { query: "pools", libraryId: "/test/scoped" })
    assert.include(docs.text, "documentation for pools")
  })

/** What `notion-mcp-server` reads at its service, whose place one of ours takes. */
export const notion: Use = Effect.gen(function* () {
  const { tools } = yield* catalog
  assert.isAbove(tools.length, 20)
  assert.include((yield* call("API-get-self")).text, "a robot")
})
