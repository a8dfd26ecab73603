import { copyFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { databaseOf, temporaryDirectory } from "./support/fixtures.ts"
import { children, identify, isAlive, queryProcesses, until } from "./support/processes.ts"
import { bin, http, main, outcome, run, stdio } from "./support/servers.ts"

/** A Node that says it is 20.0.0, so that these tests do not depend on what is installed. */
const oldNode = fileURLToPath(new URL("support/old-node", import.meta.url))

const settle = (args: ReadonlyArray<string>, env?: Record<string, string>) =>
  Effect.flatMap(run(process.execPath, [main, ...args], env), outcome)

describe("scoped-mcp-sql", () => {
  it.live("prints its help on stdout", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* settle(["--help"])
      assert.strictEqual(code, 0)
      for (const flag of ["--database", "--http", "--host", "--allowed-hosts", "--max-rows", "--timeout"])
        assert.include(stdout, flag)
    })
  )

  for (const [args, message] of [
    [["--nope"], /Unrecognized flag: --nope/],
    [["--http", "99999"], /--http: "99999".* port number/],
    [["--timeout", "soon"], /--timeout: "soon"/],
    [["--max-rows", "0"], /--max-rows: "0"/],
    [["--database", "/nowhere/x.sqlite"], /\/nowhere\/x\.sqlite: unable to open database file/],
    [["--http", "0", "--host", "203.0.113.1"], /EADDRNOTAVAIL/]
  ] as const) {
    it.live(`answers ${args.join(" ")} with one line on stderr`, () =>
      Effect.gen(function* () {
        const { code, stderr, stdout } = yield* settle(args)
        assert.deepStrictEqual([code, stdout], [1, ""])
        assert.match(stderr, message)
        assert.match(stderr, /^scoped-mcp-sql: [^\n]+\n$/)
      })
    )
  }

  it.live("takes its settings from the environment, checked like flags", () =>
    Effect.gen(function* () {
      const missing = yield* settle([], { SCOPED_MCP_SQL_DATABASE: "/nowhere/y.sqlite" })
      assert.match(missing.stderr, /\/nowhere\/y\.sqlite/)
      const rows = yield* settle([], { SCOPED_MCP_SQL_MAX_ROWS: "0" })
      assert.match(rows.stderr, /--max-rows/)
      const timeout = yield* settle([], { SCOPED_MCP_SQL_TIMEOUT: "soon" })
      assert.match(timeout.stderr, /--timeout/)
      const port = yield* settle([], { SCOPED_MCP_SQL_HTTP: "99999" })
      assert.match(port.stderr, /--http/)
    })
  )

  it.live("reads the file it is given", () =>
    Effect.gen(function* () {
      const file = yield* databaseOf("CREATE TABLE only (a)")
      const { client } = yield* stdio(["--database", file], { script: bin })
      const { structuredContent } = yield* Effect.promise(() => client.callTool({ name: "list_tables", arguments: {} }))
      assert.deepStrictEqual(structuredContent, { tables: [{ name: "only", kind: "table", columns: 1 }] })
    })
  )

  it.live("writes nothing but the protocol to stdout", () =>
    Effect.gen(function* () {
      const server = yield* run(process.execPath, [main, "--log-level", "all"])
      server.stdin.end(
        `${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "0" } } })}\n`
      )
      const { code, stdout } = yield* outcome(server)
      assert.strictEqual(code, 0)
      for (const line of stdout.split("\n").filter(Boolean)) assert.strictEqual(JSON.parse(line).jsonrpc, "2.0")
    })
  )
})

describe("scoped-mcp-sql on an old Node", () => {
  const command = oldNode

  it.live("starts over on the binary of the package `node`", () =>
    Effect.gen(function* () {
      const { client } = yield* stdio([], { command, script: bin })
      const { structuredContent } = yield* Effect.promise(() =>
        client.callTool({ name: "execute_query", arguments: { sql: "SELECT 1" } })
      )
      assert.deepStrictEqual((structuredContent as { readonly rows: unknown }).rows, [[1]])
    })
  )

  it.live("says in one line what is missing when there is none", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const alone = join(directory, "alone.mjs")
      copyFileSync(bin, alone)
      const { code, stderr } = yield* Effect.flatMap(run(command, [alone]), outcome)
      assert.strictEqual(code, 1)
      assert.match(stderr, /^scoped-mcp-sql: needs Node 24\.10 or newer, this is 20\.0\.0[^\n]+\n$/)
    })
  )

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    it.live(`ends what it started when it gets ${signal}`, () =>
      Effect.gen(function* () {
        const { pid, server } = yield* http([], { command, script: bin })
        const below = [...children(pid).map(identify), ...queryProcesses(pid)].filter((found) => found !== undefined)
        assert.isAtLeast(below.length, 2)
        server.kill(signal)
        yield* until("none is left", () => !below.some(isAlive))
        yield* until("the launcher has ended", () => server.exitCode !== null || server.signalCode !== null)
      })
    )
  }
})

it("finds the package `node` here, so that the tests above mean something", () => {
  assert.doesNotThrow(() => createRequire(bin).resolve("node/bin/node"))
})
