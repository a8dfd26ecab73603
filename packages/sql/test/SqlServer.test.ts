import { request } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { type Client, SdkError } from "@modelcontextprotocol/client"
import { Effect, Fiber, type Scope } from "effect"
import { endless } from "./support/fixtures.ts"
import { busyProcess, identify, isAlive, queryProcesses, until } from "./support/processes.ts"
import { type Era, http, httpClient, stdio } from "./support/servers.ts"

interface Answer {
  readonly isError: boolean
  readonly text: string
  readonly structured: Record<string, unknown> | undefined
}

const call = (client: Client, name: string, args: Record<string, unknown>, signal?: AbortSignal) =>
  Effect.tryPromise(async (interrupted): Promise<Answer> => {
    const result = await client.callTool(
      { name, arguments: args },
      { signal: AbortSignal.any(signal === undefined ? [interrupted] : [interrupted, signal]) }
    )
    const [content] = result.content
    return {
      isError: result.isError === true,
      text: content?.type === "text" ? content.text : "",
      structured: result.structuredContent as Record<string, unknown> | undefined
    }
  })

const query = (client: Client, sql: string) => call(client, "execute_query", { sql })

/** What a client sees is the same on every transport and in every protocol. */
const contract = (
  name: string,
  open: (
    args: ReadonlyArray<string>
  ) => Effect.Effect<{ readonly client: Client; readonly pid: number }, never, Scope.Scope>
) =>
  describe(`an SqlServer on ${name}`, () => {
    it.live("lists its tools and answers them", () =>
      Effect.gen(function* () {
        const { client } = yield* open([])
        const { tools } = yield* Effect.promise(() => client.listTools())
        assert.deepStrictEqual(
          tools.map((tool) => tool.name),
          ["execute_query", "list_tables", "describe_table"]
        )
        const tables = yield* call(client, "list_tables", {})
        assert.include(tables.text, "orders (table, 5 columns)")
        const described = yield* call(client, "describe_table", { table: "orders" })
        assert.include(described.text, "FOREIGN KEY (customer_id) REFERENCES customers (id)")
        const rows = yield* call(client, "execute_query", {
          sql: "SELECT name FROM categories WHERE id = :id",
          parameters: { id: 2 }
        })
        assert.strictEqual(rows.text, "name\n------\nCoffee\n\n1 row")
        assert.deepStrictEqual(rows.structured?.["rows"], [["Coffee"]])
      })
    )

    it.live("answers what it refuses with a result, not with a protocol error", () =>
      Effect.gen(function* () {
        const { client } = yield* open([])
        const refused = yield* query(client, "DELETE FROM orders")
        assert.isTrue(refused.isError)
        assert.match(refused.text, /^Only SELECT queries are allowed/)
        const invalid = yield* call(client, "execute_query", { sql: 1 })
        assert.deepStrictEqual(
          [invalid.isError, invalid.text],
          [true, 'Invalid arguments: Expected string at ["sql"].']
        )
        const unknown = yield* Effect.flip(call(client, "drop_table", {}))
        assert.match(String(unknown.cause), /There is no tool "drop_table"/)
      })
    )

    it.live("stops a query at the time limit and answers the next", () =>
      Effect.gen(function* () {
        const { client } = yield* open(["--timeout", "300 millis"])
        const stopped = yield* query(client, endless)
        assert.isTrue(stopped.isError)
        assert.match(stopped.text, /time limit of 300ms/)
        assert.deepStrictEqual((yield* query(client, "SELECT 1")).structured?.["rows"], [[1]])
      })
    )
  })

const eras: ReadonlyArray<readonly [name: string, era: Era]> = [
  ["2025-11-25", "legacy"],
  ["2026-07-28", "auto"]
]

for (const [protocol, era] of eras) {
  contract(`stdio, ${protocol}`, (args) => stdio(args, { era }))
  contract(`HTTP, ${protocol}`, (args) =>
    Effect.gen(function* () {
      const { pid, url } = yield* http(args)
      return { client: yield* httpClient(url, era), pid }
    })
  )

  it.live(`a cancelled call on stdio kills its query (${protocol})`, () =>
    Effect.gen(function* () {
      const { client, pid } = yield* stdio([], { era })
      const running = yield* Effect.forkChild(query(client, endless))
      const busy = yield* busyProcess(pid)
      yield* Fiber.interrupt(running)
      yield* until("the query is killed", () => !isAlive(busy))
      assert.deepStrictEqual((yield* query(client, "SELECT 1")).structured?.["rows"], [[1]])
    })
  )

  it.live(`the end of stdin ends the server and its query (${protocol})`, () =>
    Effect.gen(function* () {
      const { client, pid } = yield* stdio([], { era })
      const server = identify(pid) ?? assert.fail("the server has ended")
      const running = yield* Effect.forkChild(Effect.flip(query(client, endless)))
      const busy = yield* busyProcess(pid)
      yield* Effect.promise(() => client.close())
      yield* until("both have ended", () => !isAlive(busy) && !isAlive(server))
      const { cause } = yield* Fiber.join(running)
      assert.instanceOf(cause, SdkError)
    })
  )
}

describe("an SqlServer on HTTP", () => {
  const post = (url: URL, headers: Record<string, string>, body: string) =>
    Effect.callback<number>((resume) => {
      const sent = request(
        url,
        {
          method: "POST",
          headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers }
        },
        (response) => {
          response.resume()
          resume(Effect.succeed(response.statusCode ?? 0))
        }
      )
      sent.on("error", (error) => resume(Effect.die(error)))
      sent.end(body)
      return Effect.sync(() => sent.destroy())
    })

  const rpc = (method: string, params: object = {}) => JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })

  it.live("answers loopback names only, and those it was told", () =>
    Effect.gen(function* () {
      const { url } = yield* http(["--allowed-hosts", "db.internal,sql.internal"])
      const list = rpc("tools/list")
      assert.strictEqual(yield* post(url, {}, list), 200)
      assert.strictEqual(yield* post(url, { host: `localhost:${url.port}` }, list), 200)
      assert.strictEqual(yield* post(url, { host: "sql.internal" }, list), 200)
      assert.strictEqual(yield* post(url, { host: "evil.example" }, list), 403)
      assert.strictEqual(yield* post(url, { origin: "http://evil.example" }, list), 403)
      assert.strictEqual(yield* post(url, { origin: "null" }, list), 403)
      assert.strictEqual(yield* post(url, { origin: "http://localhost:3000" }, list), 200)
    })
  )

  it.live("takes a body of 1 MiB and no more", () =>
    Effect.gen(function* () {
      const { url } = yield* http([])
      const body = (bytes: number) => rpc("tools/list").padEnd(bytes, " ")
      assert.strictEqual(yield* post(url, {}, body(1024 * 1024)), 200)
      assert.strictEqual(yield* post(url, {}, body(1024 * 1024 + 1)), 413)
    })
  )

  for (const [protocol, headers, envelope] of [
    ["2025-11-25", {}, {}],
    [
      "2026-07-28",
      { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "execute_query" },
      {
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "test", version: "0" },
          "io.modelcontextprotocol/clientCapabilities": {}
        }
      }
    ]
  ] as const) {
    it.live(`kills the query of a request that goes away (${protocol})`, () =>
      Effect.gen(function* () {
        const { pid, url } = yield* http([])
        const body = rpc("tools/call", { name: "execute_query", arguments: { sql: endless }, ...envelope })
        const running = yield* Effect.forkChild(post(url, headers, body))
        const busy = yield* busyProcess(pid)
        yield* Fiber.interrupt(running)
        yield* until("the query is killed", () => !isAlive(busy))
      })
    )
  }

  it.live("ends on SIGTERM in the midst of a query, and leaves nothing", () =>
    Effect.gen(function* () {
      const { pid, server, url } = yield* http([])
      const client = yield* httpClient(url)
      yield* Effect.forkChild(Effect.exit(query(client, endless)))
      const busy = yield* busyProcess(pid)
      server.kill("SIGTERM")
      yield* until("both have ended", () => !isAlive(busy) && server.exitCode !== null)
      assert.deepStrictEqual(queryProcesses(pid), [])
    })
  )
})

describe("a server that is killed", () => {
  it.live("takes its runaway query with it", () =>
    Effect.gen(function* () {
      const { client, pid } = yield* stdio([])
      yield* Effect.forkChild(Effect.exit(query(client, endless)))
      const busy = yield* busyProcess(pid)
      process.kill(pid, "SIGKILL")
      yield* until("the query has ended", () => !isAlive(busy))
    })
  )
})
