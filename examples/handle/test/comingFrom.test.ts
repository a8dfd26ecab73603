import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { start } from "./program.ts"

/** An endpoint on this machine that speaks Chat Completions: it calls `price` or `multiply`, and says what it was told. */
const endpoint = async () => {
  const server = createServer(async (request, response) => {
    const { messages } = JSON.parse(await Array.fromAsync(request.setEncoding("utf8")).then((all) => all.join(""))) as {
      messages: ReadonlyArray<{ role: string; content?: unknown }>
    }
    const last = messages.at(-1)
    const asked = JSON.stringify(messages.findLast(({ role }) => role === "user")?.content)
    const factors = /(\d+) times (\d+)/.exec(asked)
    const call =
      factors === null
        ? { name: "shop__price", arguments: JSON.stringify({ thing: asked.includes("milk") ? "milk" : "tea" }) }
        : { name: "shop__multiply", arguments: JSON.stringify({ a: Number(factors[1]), b: Number(factors[2]) }) }
    const message =
      last?.role === "tool"
        ? { role: "assistant", content: `It is ${JSON.stringify(last.content)}.` }
        : { role: "assistant", content: null, tool_calls: [{ id: "call_1", type: "function", function: call }] }
    const finish_reason = last?.role === "tool" ? "stop" : "tool_calls"
    response.writeHead(200, { "content-type": "application/json", connection: "close" })
    response.end(JSON.stringify({ id: "1", model: "test", choices: [{ index: 0, message, finish_reason }] }))
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  return { url, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) }
}

const expected: Readonly<Record<string, ReadonlyArray<RegExp>>> = {
  library: [/360/, /It is .*4/, /the tool says: There is no gold/, /INFO: All MCP connections closed/, /open: shop/],
  agentPool: [
    /shop: warm\n/,
    /search: ServerDisabled/,
    /missing: ConnectFailed/,
    /- price: The price of a thing/,
    /tea, milk/,
    /servers of the agent: shop, second\n/,
    /tea costs 4/,
    /healthy: true/,
    /initialised: true/
  ],
  chat: [/tea costs 4/, /milk costs 2/, /The agent is closed/, /the body failed/],
  closeAll: [/shop: connected/, /missing: error/, /connected: 1/, /true false/, /closed: 1/, /left: 0/],
  scaling: [/refused: 3 of 5/, /all workers have ended/]
}

for (const [name, texts] of Object.entries(expected)) {
  void test(`coming from: ${name} does the same job, and leaves nothing`, async () => {
    await using api = await endpoint()
    const { ended, left, output } = start(`coming-from/${name}.ts`, {
      OPENAI_BASE_URL: api.url,
      OPENAI_API_KEY: "none",
      OPENAI_MODEL: "test",
      OPENAI_AGENTS_DISABLE_TRACING: "1"
    })
    const [code] = await ended
    assert.equal(code, 0, output.text)
    for (const text of texts) assert.match(output.text, text)
    assert.deepEqual(left(), [])
  })
}
