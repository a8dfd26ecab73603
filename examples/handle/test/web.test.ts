import assert from "node:assert/strict"
import { test } from "node:test"
import { start } from "./program.ts"

for (const [framework, endsBy] of [
  ["express", [0, null]],
  ["fastify", [0, null]],
  ["hono", [0, null]],
  ["httpRouter", [130, null]]
] as const) {
  void test(`${framework}: start-up warms, the routes answer, shutdown closes and leaves nothing`, async () => {
    const { child, ended, left, output, said } = start(`web/${framework}.ts`)
    const base = await said(/http:\/\/[\d.]+:\d+/)
    const get = (path: string, method = "GET") => fetch(base + path, { method, headers: { connection: "close" } })

    const stats = (await (await get("/mcp/stats")).json()) as { activeServers: unknown; registeredServers: unknown }
    assert.deepEqual(stats.registeredServers, ["shop", "missing"])
    assert.deepEqual(stats.activeServers, ["shop"])

    const warm = await get("/mcp/warmup/shop", "POST")
    assert.equal(warm.status, 200)
    assert.equal(((await warm.json()) as { shop: { ok: boolean } }).shop.ok, true)
    const failed = await get("/mcp/warmup/missing", "POST")
    assert.equal(failed.status, 503)
    assert.match(await failed.text(), /ConnectFailed/)
    assert.equal((await get("/mcp/warmup/nobody", "POST")).status, 404)
    assert.equal((await get("/mcp/other")).status, 404)
    assert.equal(await (await get("/price/tea")).text(), "tea costs 4")

    assert.ok(left().length >= 2)
    child.kill("SIGTERM")
    assert.deepEqual(await ended, endsBy, output.text)
    assert.deepEqual(left(), [])
  })
}
