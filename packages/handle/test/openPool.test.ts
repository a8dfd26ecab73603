import { assert, describe, expect, it } from "@effect/vitest"
import {
  AcquireTimeout,
  CallTimeout,
  ConfigError,
  ConnectFailed,
  ConnectionLost,
  type Event,
  type LogLine,
  McpError,
  openPool,
  PoolClosed,
  type Progress,
  ProtocolError,
  ServerDisabled,
  ToolError,
  UnknownServer
} from "@scoped-mcp/handle"
import { Effect } from "effect"
import { alive, eventually, makeTag } from "../../node/test/system.ts"
import { serverScript } from "./host.ts"

const definition = (tag: string, ...manners: ReadonlyArray<string>) => ({
  command: process.execPath,
  args: [serverScript, ...manners],
  env: { TAG: tag }
})

const configuration = (tag = makeTag(), ...manners: ReadonlyArray<string>) => ({
  servers: { one: definition(tag, ...manners) }
})

const left = (tag: string) => Effect.runPromise(alive(tag))

const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("it was not rejected"),
    (error: unknown) => error
  )

describe("a pool", () => {
  it("calls tools, and shows what they answer", async () => {
    await using pool = await openPool(configuration())
    const result = await pool.callTool({ server: "one", tool: "structured", arguments: { a: 2, b: 3 } })
    assert.deepStrictEqual(result.structuredContent, { sum: 5 })
    assert.strictEqual(result.text, '{"sum":5}')
    assert.deepStrictEqual(result.content, [{ type: "text", text: '{"sum":5}' }])
    assert.deepStrictEqual(result.raw["structuredContent"], { sum: 5 })
    // Plain data: it crosses to a worker thread.
    assert.deepStrictEqual(structuredClone(result), result)
  })

  it("lists tools of one server and of all, reads resources and gets prompts", async () => {
    await using pool = await openPool(configuration())
    const tools = await pool.tools("one")
    assert.deepStrictEqual(await pool.tools(), tools)
    assert.include(
      tools.map(({ name, server }) => `${server}/${name}`),
      "one/echo"
    )
    const { contents } = await pool.readResource({ server: "one", uri: "fixture://one" })
    assert.deepStrictEqual(contents, [{ uri: "fixture://one", text: "content of fixture://one" }])
    const prompt = await pool.getPrompt({ server: "one", prompt: "greet", arguments: { who: "Ann" } })
    assert.include(JSON.stringify(prompt), "Hello Ann")
  })

  it("warms up what it can, and tells what became of each", async () => {
    await using pool = await openPool({ servers: { ...configuration().servers, bad: { command: "no-such-program" } } })
    const warmed = await pool.warmup(["one", "bad", "nobody"])
    assert.isTrue(warmed["one"]?.ok === true && warmed["one"].openedIn > 0)
    assert.isTrue(warmed["bad"]?.ok === false && warmed["bad"].error instanceof ConnectFailed)
    assert.isTrue(warmed["nobody"]?.ok === false && warmed["nobody"].error instanceof UnknownServer)
    const stats = await pool.stats()
    assert.deepStrictEqual(stats.registeredServers, ["one", "bad"])
    assert.deepStrictEqual(stats.activeServers, ["one"])
    assert.deepStrictEqual(stats.health, { one: true, bad: false })
    assert.strictEqual(stats.namespace, "default")
    assert.isTrue(stats.initialised)
    const { classic, status } = await pool.status("one")
    assert.deepStrictEqual([status, classic], ["Ready", "connected"])
    assert.strictEqual((await pool.status("bad")).classic, "error")
  })

  it("tells what happens, to each reader, until it ends", async () => {
    const pool = await openPool(configuration())
    const seen: Array<Event> = []
    const events = pool.events()[Symbol.asyncIterator]()
    const first = events.next()
    const reading = (async () => {
      for await (const event of pool.events()) seen.push(event)
    })()
    await pool.warmup()
    assert.strictEqual((await first).value?._tag, "StatusChanged")
    await events.return?.()
    await pool.close()
    await reading
    const tags = seen.map(({ _tag }) => _tag)
    assert.include(tags, "ConnectionOpened")
    assert.strictEqual(tags.at(-1), "PoolEnded")
    assert.isNumber(seen.find(({ _tag }) => _tag === "ConnectionOpened")?.["openedIn"])
    // Who comes later hears of nothing any more.
    for await (const event of pool.events()) assert.fail(event._tag)
  })

  it("takes servers while it is open, and lets them go", async () => {
    const tag = makeTag()
    await using pool = await openPool({ servers: {} })
    await pool.register("late", definition(tag))
    assert.strictEqual((await pool.callTool({ server: "late", tool: "echo", arguments: { text: "hi" } })).text, "hi")
    assert.isTrue(await pool.remove("late"))
    assert.isFalse(await pool.remove("late"))
    assert.instanceOf(await rejection(pool.callTool({ server: "late", tool: "echo" })), UnknownServer)
    assert.instanceOf(await rejection(pool.register("late", { comand: "npx" })), ConfigError)
  })

  it("can be stopped and started again", async () => {
    const tag = makeTag()
    await using pool = await openPool(configuration(tag))
    await pool.warmup()
    await pool.stop()
    assert.deepStrictEqual(await left(tag), [])
    const error = await rejection(pool.callTool({ server: "one", tool: "pid" }))
    assert.isTrue(error instanceof PoolClosed && error.state === "Stopped")
    await pool.start()
    assert.isNotEmpty((await pool.callTool({ server: "one", tool: "pid" })).text)
  })

  it("logs nothing by itself, and says everything to who asks", async () => {
    const lines: Array<LogLine> = []
    {
      await using pool = await openPool(configuration(), { log: (line) => lines.push(line) })
      await pool.warmup()
    }
    const messages = lines.map(({ message }) => message)
    assert.include(messages, "MCP connection opened")
    assert.include(messages, "All MCP connections closed")
    assert.deepInclude(lines.at(-1)?.about, { closedCount: 1, namespace: "default" })
    assert.strictEqual(lines.at(-1)?.level, "INFO")
  })

  it("leaves the listeners of the process alone in a test run, and takes them back elsewhere", async () => {
    const before = process.listenerCount("SIGTERM")
    await using quiet = await openPool({ servers: {} })
    assert.strictEqual(process.listenerCount("SIGTERM"), before)
    const loud = await openPool({ servers: {} }, { signals: "on" })
    const second = await openPool({ servers: {} }, { signals: "on" })
    assert.strictEqual(process.listenerCount("SIGTERM"), before + 1)
    await Promise.all([loud.close(), second.close()])
    assert.strictEqual(process.listenerCount("SIGTERM"), before)
    await quiet.close()
  })
})

describe("a failing call is rejected with", () => {
  it("ToolError when the tool reports failure", async () => {
    await using pool = await openPool(configuration())
    const error = await rejection(pool.callTool({ server: "one", tool: "fail" }))
    assert.instanceOf(error, ToolError)
    assert.deepInclude(error, { server: "one", tool: "fail", text: "it failed on purpose", delivery: "Answered" })
  })

  it("ProtocolError, ConnectionLost, UnknownServer, each with what is known", async () => {
    await using pool = await openPool(configuration())
    const refused = await rejection(pool.callTool({ server: "one", tool: "nothing" }))
    assert.instanceOf(refused, McpError)
    assert.isTrue(refused instanceof ProtocolError ? refused.code === -32602 : refused.reason === "UnknownTool")
    const lost = await rejection(pool.callTool({ server: "one", tool: "drop" }))
    assert.isTrue(lost instanceof ConnectionLost && lost.exitCode === 9 && lost.delivery === "OutcomeUnknown")
    const unknown = await rejection(pool.callTool({ server: "oen", tool: "echo" }))
    assert.isTrue(unknown instanceof UnknownServer && unknown.nearest[0] === "one" && unknown.delivery === "NotSent")
  })

  it("CallTimeout after its own limits, in milliseconds", async () => {
    await using pool = await openPool(configuration())
    await pool.warmup()
    const hang = { server: "one", tool: "hang", arguments: { name: "a" } }
    const idle = await rejection(pool.callTool({ ...hang, idleTimeout: 50 }))
    assert.isTrue(idle instanceof CallTimeout && idle.phase === "Idle" && idle.limit === 50)
    const total = await rejection(pool.callTool({ ...hang, timeout: 50 }))
    assert.isTrue(total instanceof CallTimeout && total.phase === "Total" && total.limit === 50)
  })

  it("AcquireTimeout when the server never answers its handshake in time for it", async () => {
    await using pool = await openPool({ acquireTimeout: 0.2, ...configuration(makeTag(), "mute") })
    const error = await rejection(pool.callTool({ server: "one", tool: "echo" }))
    assert.isTrue(error instanceof AcquireTimeout && error.waited === 200)
  })

  it("ServerDisabled when a variable of it is not set", async () => {
    await using pool = await openPool({ servers: { one: { url: "http://127.0.0.1:1/${NO_SUCH_VARIABLE_OF_OURS}" } } })
    const error = await rejection(pool.callTool({ server: "one", tool: "echo" }))
    assert.isTrue(error instanceof ServerDisabled && error.why.includes("NO_SUCH_VARIABLE_OF_OURS"))
  })

  it("the reason of its signal, which cancels it on the server", async () => {
    await using pool = await openPool(configuration())
    await pool.warmup()
    const controller = new AbortController()
    const why = new Error("the user left")
    const progress: Array<Progress> = []
    const running = pool.callTool({
      server: "one",
      tool: "hang",
      arguments: { name: "left" },
      signal: controller.signal,
      onProgress: (step) => progress.push(step)
    })
    setImmediate(() => controller.abort(why))
    assert.strictEqual(await rejection(running), why)
    assert.include((await pool.callTool({ server: "one", tool: "cancelled" })).text, "left")
    assert.strictEqual(await rejection(pool.tools("one", { signal: controller.signal })), why)
    await pool.callTool({
      server: "one",
      tool: "progress",
      arguments: { steps: 2 },
      onProgress: (step) => progress.push(step)
    })
    assert.deepStrictEqual(
      progress.map(({ progress }) => progress),
      [1, 2]
    )
  })

  it("ConfigError, one line for each mistake, before anything is started", async () => {
    const listeners = process.listenerCount("exit")
    const error = await rejection(openPool({ servers: { one: { comand: "npx" }, two: { url: "not an address" } } }))
    assert.instanceOf(error, ConfigError)
    assert.isAtLeast(error.problems.length, 2)
    assert.strictEqual(error.message.split("\n").length, error.problems.length)
    const missing = await rejection(openPool("no-such-file.yaml"))
    assert.isTrue(missing instanceof ConfigError && missing.file === "no-such-file.yaml")
    assert.strictEqual(process.listenerCount("exit"), listeners)
  })
})

describe("the end of a pool", () => {
  it("comes with its block, whatever the block does", async () => {
    const tag = makeTag()
    const body = async () => {
      await using pool = await openPool(configuration(tag, "ignore-end"))
      await pool.warmup()
      throw new Error("the body failed")
    }
    await expect(body()).rejects.toThrow("the body failed")
    assert.deepStrictEqual(await left(tag), [])
  })

  it("is safe twice and at the same time, and every use after it is refused", async () => {
    const tag = makeTag()
    const pool = await openPool(configuration(tag))
    await pool.warmup()
    await Promise.all([pool.close(), pool.close(), pool[Symbol.asyncDispose]()])
    await pool.close()
    assert.deepStrictEqual(await left(tag), [])
    for (const use of [
      pool.callTool({ server: "one", tool: "echo" }),
      pool.start(),
      pool.register("two", definition(tag)),
      pool.tools("one")
    ]) {
      const error = await rejection(use)
      assert.isTrue(error instanceof PoolClosed && error.state === "Closed")
    }
    assert.deepStrictEqual((await pool.stats()).registeredServers, [])
    await using again = await openPool(configuration(tag))
    assert.strictEqual(
      (await again.callTool({ server: "one", tool: "echo", arguments: { text: "anew" } })).text,
      "anew"
    )
  })

  it("takes no longer than the limit it is given, and then by force", async () => {
    const tag = makeTag()
    const pool = await openPool(configuration(tag, "ignore-end", "ignore-term"))
    await pool.warmup()
    const since = performance.now()
    await pool.close(300)
    assert.isBelow(performance.now() - since, 1_000)
    await Effect.runPromise(eventually(alive(tag), (seen) => seen.length === 0))
    await pool.close()
  })

  it("is at once with using, for what cannot wait", async () => {
    const tag = makeTag()
    const open = await openPool(configuration(tag, "ignore-end", "ignore-term"))
    await open.warmup()
    {
      using _ = open
    }
    await Effect.runPromise(eventually(alive(tag), (seen) => seen.length === 0, "1 second"))
    await open.close()
  })

  it("fails the calls that run", async () => {
    const pool = await openPool(configuration())
    await pool.warmup()
    const running = rejection(pool.callTool({ server: "one", tool: "hang", arguments: { name: "a" } }))
    await pool.close()
    assert.instanceOf(await running, McpError)
  })
})
