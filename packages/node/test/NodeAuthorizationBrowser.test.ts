import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { NodeAuthorizationBrowser } from "@scoped-mcp/node"
import { Effect } from "effect"

const page = new URL("https://login.example/authorize?a=1&b=$(touch%20x);c")

/** In place of a browser: a program that writes down what it was given. */
const writing = (file: string) =>
  NodeAuthorizationBrowser.make([
    process.execPath,
    "-e",
    `require("node:fs").writeFileSync(${JSON.stringify(file)}, JSON.stringify(process.argv.slice(1)))`
  ])

describe("NodeAuthorizationBrowser", () => {
  it.live("gives the whole address to the program, as one argument and to no shell", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const file = join(folder, "argv")
      yield* writing(file).open(page, "mail")
      assert.deepStrictEqual(JSON.parse(readFileSync(file, "utf8")), [page.href])
    })
  )

  it.live.each([
    ["that does not exist", ["no-such-program"], "ENOENT"],
    ["that fails", [process.execPath, "-e", "process.exit(3)"], "ended with code 3"]
  ] as const)("says so of a program %s", ([, command, detail]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(NodeAuthorizationBrowser.make([...command]).open(page, "mail"))
      assert.strictEqual(error._tag, "BrowserUnavailable")
      assert.include(error.message, detail)
    })
  )

  it.live("opens nothing but pages", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(writing("/nowhere").open(new URL("file:///etc/passwd"), "mail"))
      assert.include(error.message, "file: is no page")
    })
  )
})
