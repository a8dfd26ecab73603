import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { strangers } from "../src/imports.ts"

const strangersIn = (program: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-imports-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    ),
    (folder) => {
      writeFileSync(join(folder, "client.ts"), program)
      return strangers(folder)
    }
  )

describe("the client under test", () => {
  it("imports nothing but Effect and what we publish", () => {
    assert.deepStrictEqual(strangers(fileURLToPath(new URL("../src/client", import.meta.url))), [])
  })

  it.effect.each([
    [`import { Client } from "@modelcontextprotocol/client"`, "client.ts: @modelcontextprotocol/client"],
    [`import "./../suite.ts"`, "client.ts: ./../suite.ts"],
    [`export * from '@scoped-mcp/testing'`, "client.ts: @scoped-mcp/testing"],
    [`const fs = await import("node:fs")`, "client.ts: node:fs"],
    [`const other = await import(name)`, "client.ts: import(…)"],
    [`const http = process.getBuiltinModule("http")`, "client.ts: getBuiltinModule(…)"]
  ] as const)("would be found out with %s", ([program, stranger]) =>
    Effect.map(strangersIn(program), (found) => assert.deepStrictEqual(found, [stranger]))
  )

  it.effect("may import our packages, their parts and Effect", () =>
    Effect.map(
      strangersIn(
        [
          `import { Effect } from "effect"`,
          `import * as Pool from "@scoped-mcp/core/McpPool"`,
          `import("effect/Schema")`
        ].join("\n")
      ),
      (found) => assert.deepStrictEqual(found, [])
    )
  )
})
