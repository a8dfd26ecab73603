import { assert, describe, it } from "@effect/vitest"
import {
  type McpConnection,
  type McpError,
  McpPool,
  type ProcessOwner,
  ServerConfig,
  type ServerSource
} from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Deferred, Duration, Effect, Fiber, Layer, Option, type Scope } from "effect"
import { alive, eventually, fixture, makeTag, spawn } from "./system.ts"

/** One server for the pool to use, and what can be said of it from its own side. */
interface Subject {
  readonly source: ServerSource.Server
  /** Runs to its end when the server holds nothing of the pool any more. */
  readonly released: Effect.Effect<unknown>
}

const stdio = (command: (script: string) => ReadonlyArray<string>) =>
  Effect.sync((): Subject => {
    const tag = makeTag()
    const [program, ...args] = command(fixture("server.mjs"))
    return {
      source: ServerConfig.stdio({ command: program!, args, env: { TAG: tag }, closeTimeout: "3 seconds" }),
      released: Effect.map(alive(tag), (seen) => assert.deepStrictEqual(seen, []))
    }
  })

/** `fixtures/http.mjs` as an owned process, and what it tells of its sessions and sockets. */
const startHttp = Effect.fnUntraced(function* (answers: "json" | "sse", port = 0) {
  const server = yield* spawn({
    command: process.execPath,
    args: [fixture("http.mjs"), String(port), answers],
    env: {},
    inheritEnv: "minimal",
    cwd: undefined,
    stopTimeout: Duration.seconds(2)
  } satisfies ProcessOwner.ProcessCommand)
  yield* server.heard(`"port"`)
  const events = (): ReadonlyArray<Record<string, unknown>> =>
    server.stdout
      .join("")
      .split("\n")
      .flatMap((line) => (line === "" ? [] : [JSON.parse(line)]))
  const told = (name: string) => events().flatMap((event) => (name in event ? [event[name]] : []))
  return { ...server, port: Number(told("port")[0]), told }
})

const http = (answers: "json" | "sse") =>
  Effect.map(startHttp(answers), ({ port, told }): Subject => ({
    source: ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp` }),
    released: eventually(
      Effect.sync(() => ({ opened: told("opened"), deleted: told("deleted"), sockets: told("sockets") })),
      // Every session that it opened was ended, and no socket of ours is left.
      ({ deleted, opened, sockets }) =>
        opened.length > 0 &&
        opened.every((session) => deleted.includes(session)) &&
        sockets.reduce<number>((sum, change) => sum + Number(change), 0) === 0
    )
  }))

const reasonOf = <A>(call: Effect.Effect<A, McpError.McpError>): Effect.Effect<object, A> =>
  Effect.map(Effect.flip(call), ({ reason }) => reason)

/** What every server of a pool keeps to, however it is reached. */
const poolContract = (
  name: string,
  makeServer: Effect.Effect<Subject, unknown, McpConnection.Platform | Scope.Scope>,
  { hasProgress = true } = {}
) =>
  describe(`pool contract (${name})`, () => {
    const subject = (use: (pool: McpPool.McpPoolService) => Effect.Effect<unknown, unknown>) =>
      Effect.gen(function* () {
        const { released, source } = yield* makeServer
        const pool = Effect.flatMap(McpPool.McpPool, use)
        // A platform of its own: with it, the last kept-alive socket of the pool has to go.
        const platform = Layer.fresh(McpNode.layer)
        yield* Effect.provide(pool, Layer.provide(McpPool.layer({ servers: { it: source } }), platform))
        yield* released
      }).pipe(Effect.provide(McpNode.layer))

    const echo = (pool: McpPool.McpPoolService, text: string) =>
      Effect.map(pool.callTool({ server: "it", tool: "echo", arguments: { text } }), (result) => result.text)

    it.live("answers many callers at once, each with its own result", () =>
      subject((pool) =>
        Effect.gen(function* () {
          const texts = Array.from({ length: 200 }, (_, index) => `call ${index}`)
          const answers = yield* Effect.forEach(texts, (text) => echo(pool, text), { concurrency: "unbounded" })
          assert.deepStrictEqual(answers, texts)
        })
      )
    )

    it.live("offers tools, resources, prompts and completion", () =>
      subject((pool) =>
        Effect.gen(function* () {
          const catalog = yield* pool.catalogOf("it")
          assert.include(
            catalog.tools.map((tool) => tool.name),
            "structured"
          )
          assert.lengthOf(catalog.resources, 1)
          assert.lengthOf(catalog.resourceTemplates, 1)
          assert.lengthOf(catalog.prompts, 1)
          const sum = yield* pool.callTool({ server: "it", tool: "structured", arguments: { a: 2, b: 3 } })
          assert.deepStrictEqual(sum.structuredContent, { sum: 5 })
          const { contents } = yield* pool.readResource({ server: "it", uri: "fixture://one" })
          assert.deepInclude(contents[0], { text: "content of fixture://one" })
          const { messages } = yield* pool.getPrompt({ server: "it", prompt: "greet", arguments: { who: "you" } })
          assert.deepInclude(messages[0]?.content, { text: "Hello you" })
          const completion = yield* pool.complete({
            server: "it",
            ref: { prompt: "greet" },
            argument: { name: "who", value: "a" }
          })
          assert.deepStrictEqual(completion.values, ["alpha"])
        })
      )
    )

    it.live("names the failure of a tool, and a tool that does not exist", () =>
      subject((pool) =>
        Effect.gen(function* () {
          const failed = yield* reasonOf(pool.callTool({ server: "it", tool: "fail" }))
          assert.deepInclude(failed, { _tag: "ToolError", text: "it failed on purpose" })
          const unknown = yield* reasonOf(pool.callTool({ server: "it", tool: "ecko" }))
          assert.deepInclude(unknown, { _tag: "UnknownTool", nearest: ["echo"] })
        })
      )
    )

    if (hasProgress) {
      it.live("tells of progress in order, and before the result", () =>
        subject((pool) =>
          Effect.gen(function* () {
            const seen: Array<number> = []
            yield* pool.callTool({
              server: "it",
              tool: "progress",
              arguments: { steps: 100 },
              onProgress: ({ progress }) => seen.push(progress)
            })
            assert.deepStrictEqual(
              seen,
              Array.from({ length: 100 }, (_, index) => index + 1)
            )
          })
        )
      )
    }

    it.live("cancels on the server what is interrupted or takes too long, and goes on", () =>
      subject((pool) =>
        Effect.gen(function* () {
          yield* echo(pool, "warm")
          const hang = (name: string, timeout?: Duration.Duration) =>
            pool.callTool({ server: "it", tool: "hang", arguments: { name }, timeout })
          const late = yield* reasonOf(hang("late", Duration.millis(200)))
          assert.deepInclude(late, { _tag: "CallTimeout", phase: "Total", delivery: "OutcomeUnknown" })
          const fiber = yield* Effect.forkChild(hang("left"))
          yield* eventually(pool.stats, ({ running }) => running === 1)
          yield* echo(pool, "in between")
          yield* Fiber.interrupt(fiber)
          yield* eventually(
            Effect.map(pool.callTool({ server: "it", tool: "cancelled" }), ({ text }) => text),
            (text) => text === `["late","left"]`
          )
          assert.strictEqual((yield* pool.stats).running, 0)
        })
      )
    )

    it.live("drops a message over the limit, and goes on", () =>
      subject((pool) =>
        Effect.gen(function* () {
          const size = 17 * 1024 * 1024
          const running = yield* Effect.forkChild(pool.callTool({ server: "it", tool: "big", arguments: { size } }))
          const reason = yield* reasonOf(Fiber.join(running))
          assert.deepInclude(reason, { _tag: "MessageTooLarge", direction: "Response" })
          const { text } = yield* pool.callTool({ server: "it", tool: "big", arguments: { size: 8 * 1024 * 1024 } })
          assert.lengthOf(text, 8 * 1024 * 1024)
          assert.strictEqual(yield* echo(pool, "after"), "after")
        })
      )
    )

    it.live("fails a call whose line breaks with OutcomeUnknown, and serves the next one", () =>
      subject((pool) =>
        Effect.gen(function* () {
          const reason = yield* reasonOf(pool.callTool({ server: "it", tool: "drop" }))
          assert.deepInclude(reason, { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
          assert.strictEqual(yield* echo(pool, "after"), "after")
        })
      )
    )

    it.live("ends calls and connection when the pool closes under them", () =>
      Effect.gen(function* () {
        const ended = yield* Deferred.make<string>()
        yield* subject((pool) =>
          Effect.gen(function* () {
            yield* echo(pool, "warm")
            const hang = Effect.flip(pool.callTool({ server: "it", tool: "hang", arguments: { name: "open" } }))
            yield* Effect.forkDetach(Effect.flatMap(hang, ({ reason }) => Deferred.succeed(ended, reason._tag)))
            yield* eventually(pool.stats, ({ running }) => running === 1)
          })
        )
        assert.strictEqual(yield* Deferred.await(ended), "ConnectionLost")
      })
    )
  })

poolContract(
  "stdio",
  stdio((script) => [process.execPath, script, "noise", "flood"])
)
poolContract(
  "stdio behind a shell",
  stdio((script) => ["sh", "-c", `${process.execPath} ${script} helper:pipes; :`])
)
poolContract("HTTP, JSON", http("json"), { hasProgress: false })
poolContract("HTTP, events", http("sse"))

it.live("uses an HTTP server again that was restarted on the same port", () =>
  Effect.gen(function* () {
    const first = yield* startHttp("json")
    const source = ServerConfig.http({ url: `http://127.0.0.1:${first.port}/mcp` })
    yield* Effect.gen(function* () {
      const pool = yield* McpPool.McpPool
      const echo = Effect.map(
        pool.callTool({ server: "it", tool: "echo", arguments: { text: "hello" } }),
        ({ text }) => text
      )
      assert.strictEqual(yield* echo, "hello")
      yield* first.stop
      assert.strictEqual((yield* Effect.flip(echo)).delivery, "NotSent")
      const second = yield* startHttp("json", first.port)
      const again = yield* eventually(Effect.option(echo), Option.isSome)
      assert.deepStrictEqual(again, Option.some("hello"))
      assert.lengthOf(second.told("opened"), 1)
    }).pipe(Effect.provide(McpPool.layer({ servers: { it: source } })))
  }).pipe(Effect.provide(McpNode.layer))
)

it.live("explains a server that dies in its handshake, and keeps nothing of it", () =>
  Effect.gen(function* () {
    const tag = makeTag()
    const source = ServerConfig.stdio({
      command: process.execPath,
      args: [fixture("server.mjs"), "die", "noise", "helper:pipes"],
      env: { TAG: tag },
      closeTimeout: "2 seconds"
    })
    yield* Effect.gen(function* () {
      const pool = yield* McpPool.McpPool
      const reason = yield* reasonOf(pool.callTool({ server: "it", tool: "echo" }))
      assert.deepInclude(reason, { _tag: "ConnectFailed", phase: "Handshake", exitCode: 3 })
      assert.include("stderr" in reason ? reason.stderr : "", "no licence found")
      // The pool is still open: what a failed attempt has started ends by itself.
      yield* eventually(alive(tag), (seen) => seen.length === 0)
    }).pipe(Effect.provide(McpPool.layer({ servers: { it: source } })))
  }).pipe(Effect.provide(McpNode.layer))
)
