import { assert, describe, it } from "@effect/vitest"
import { agentServer, nodeRoutes, openPool, routes, type Stats } from "@scoped-mcp/handle"
import { serverScript } from "./host.ts"

const configuration = {
  servers: {
    one: { command: process.execPath, args: [serverScript] },
    bad: { command: "no-such-program" }
  }
}

const ask = (method: string, path: string) => new Request(`http://example.com${path}`, { method })

describe("the routes of a pool", () => {
  it("show its figures", async () => {
    await using pool = await openPool(configuration)
    const response = await routes(pool)(ask("GET", "/mcp/stats?fresh"))
    if (response === undefined) return assert.fail("it is not answered")
    assert.strictEqual(response.status, 200)
    assert.strictEqual(response.headers.get("cache-control"), "no-store")
    assert.deepStrictEqual(((await response.json()) as Stats).registeredServers, ["one", "bad"])
  })

  it("warm up a server, and say why one could not be", async () => {
    await using pool = await openPool(configuration)
    const answer = routes(pool, { prefix: "/ops" })
    const warm = await answer(ask("POST", "/ops/warmup/one"))
    assert.strictEqual(warm?.status, 200)
    assert.include((await warm?.text()) ?? "", '{"one":{"ok":true')
    assert.deepStrictEqual((await pool.stats()).activeServers, ["one"])
    const bad = await answer(ask("POST", "/ops/warmup/bad"))
    assert.strictEqual(bad?.status, 503)
    assert.include((await bad?.text()) ?? "", '"reason":"ConnectFailed"')
    assert.strictEqual((await answer(ask("POST", "/ops/warmup/n%20body")))?.status, 404)
  })

  it("answer nothing that is not for them", async () => {
    await using pool = await openPool(configuration)
    const answer = routes(pool)
    for (const path of [
      "/",
      "/mcp",
      "/mcp/statistics",
      "/mcp/warmup",
      "/mcp/warmup/",
      "/mcp/warmup/a/b",
      "/mcp/warmup/%E0"
    ]) {
      assert.isUndefined(await answer(ask("POST", path)), path)
    }
    const wrong = await answer(ask("GET", "/mcp/warmup/one"))
    assert.deepStrictEqual([wrong?.status, wrong?.headers.get("allow")], [405, "POST"])
    assert.strictEqual((await answer(ask("POST", "/mcp/stats")))?.status, 405)
    assert.isEmpty((await pool.stats()).activeServers)
  })

  it("go with the requests of Node.js, too", async () => {
    await using pool = await openPool(configuration)
    const handle = nodeRoutes(pool)
    const said = await new Promise((resolve, reject) =>
      handle(
        { method: "GET", url: "/mcp/stats" },
        { writeHead: (status) => assert.strictEqual(status, 200), end: resolve },
        reject
      )
    )
    assert.include(said, '"namespace":"default"')
    await new Promise<void>((resolve) =>
      handle({ url: "/other" }, { writeHead: () => assert.fail(), end: () => assert.fail() }, () => resolve())
    )
  })
})

describe("a server for an agent", () => {
  it("is listed and called, and its close does not close it", async () => {
    await using pool = await openPool(configuration)
    const server = agentServer(pool, "one")
    await server.connect()
    const tools = await server.listTools()
    const echo = tools.find(({ name }) => name === "echo")
    assert.strictEqual(echo?.inputSchema.type, "object")
    assert.isArray(echo?.inputSchema.required)
    await server.close()
    await server.invalidateToolsCache()
    assert.deepStrictEqual(await server.callTool("echo", { text: "still here" }), [
      { type: "text", text: "still here" }
    ])
    assert.deepStrictEqual((await pool.stats()).activeServers, ["one"])
  })

  it("says at connect that it cannot be had, so that an agent can do without", async () => {
    await using pool = await openPool(configuration)
    const failed = await agentServer(pool, "bad")
      .connect()
      .then(
        () => undefined,
        (error: unknown) => error
      )
    assert.include(String(failed), "ConnectFailed")
  })
})
