import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { scopedMcp } from "./support/cli.ts"
import { broken, folder, server, withoutKey, write } from "./support/configuration.ts"

const fixtures = { alpha: server(), broken, keyless: withoutKey, omega: server() }

describe("tools", () => {
  it.live("lists all servers, names each that failed or is disabled on a line of its own, and exits 1", () =>
    Effect.gen(function* () {
      const file = yield* write(fixtures)
      const { code, left, stderr, stdout } = yield* scopedMcp(["tools", "--config", file])
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(
        stdout
          .trimEnd()
          .split("\n")
          .map((line) => line.split(/\s+/).slice(0, 2).join(" ")),
        ["alpha echo", "alpha fail", "alpha wait", "omega echo", "omega fail", "omega wait"]
      )
      const lines = stderr.trimEnd().split("\n")
      assert.strictEqual(lines.length, 2)
      assert.strictEqual(lines[0], "– keyless: disabled, the variable SCOPED_MCP_TEST_KEY is not set")
      assert.match(lines[1] ?? "", /^✗ broken: Could not connect to "broken" .*exited with code 3.*no database/)
      assert.deepStrictEqual(left, [])
    })
  )

  it.live("exits 0 when no server failed, and prints no colours to a pipe", () =>
    Effect.gen(function* () {
      const file = yield* write({ alpha: server(), keyless: withoutKey })
      const { code, stderr, stdout } = yield* scopedMcp(["tools", "--config", file])
      assert.strictEqual(code, 0)
      assert.notInclude(stdout + stderr, "\u001B")
    })
  )

  it.live("lists one server, with its schemas as JSON", () =>
    Effect.gen(function* () {
      const file = yield* write(fixtures)
      const { code, stderr, stdout } = yield* scopedMcp(["tools", "omega", "--config", file, "--json"])
      assert.strictEqual(code, 0)
      assert.strictEqual(stderr, "")
      const listing = JSON.parse(stdout) as {
        servers: Array<{ server: string; tools: Array<{ inputSchema: unknown }> }>
      }
      assert.deepStrictEqual(
        listing.servers.map(({ server, tools }) => [server, tools.length]),
        [["omega", 3]]
      )
      assert.deepStrictEqual(listing.servers[0]?.tools[0]?.inputSchema, { type: "object" })
    })
  )

  it.live("tells what failed as JSON too", () =>
    Effect.gen(function* () {
      const file = yield* write({ broken, keyless: withoutKey })
      const { code, stdout } = yield* scopedMcp(["tools", "--config", file, "--json"])
      assert.strictEqual(code, 1)
      const listing = JSON.parse(stdout) as { failed: Array<{ server: string; reason: string }>; disabled: unknown }
      assert.deepStrictEqual(
        listing.failed.map(({ reason, server }) => [server, reason]),
        [["broken", "ConnectFailed"]]
      )
      assert.deepStrictEqual(listing.disabled, [
        { server: "keyless", why: "the variable SCOPED_MCP_TEST_KEY is not set" }
      ])
    })
  )

  it.live("starts the servers side by side", () =>
    Effect.gen(function* () {
      const meeting = yield* folder
      const [here, there] = [`${meeting}/alpha`, `${meeting}/omega`]
      // Each starts when the other has, so one after the other would never end.
      const file = yield* write({
        alpha: server({ HERE: here, THERE: there }),
        omega: server({ HERE: there, THERE: here })
      })
      const { code, stdout } = yield* scopedMcp(["tools", "--config", file, "--json"])
      assert.strictEqual(code, 0, stdout)
    })
  )
})
