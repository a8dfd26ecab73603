import { readFileSync } from "node:fs"
import { dirname } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { bin, scopedMcp } from "./support/cli.ts"
import { changed, folder, server, write } from "./support/configuration.ts"

const sources = "--conditions=@scoped-mcp/source"

/** Makes a Node.js believe that it is an old one. */
const old = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.1.0"}})`
const oldNode = [process.execPath, sources, "--import", old]

/** The program in a folder of its own, without anything that was built. */
const copy = (options: { readonly sources: boolean }) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const place = yield* folder
    const packageFolder = dirname(dirname(bin))
    yield* fs.makeDirectory(`${place}/bin`)
    yield* fs.copyFile(bin, `${place}/bin/scoped-mcp.js`)
    yield* fs.copyFile(`${packageFolder}/package.json`, `${place}/package.json`)
    if (options.sources) yield* fs.symlink(`${packageFolder}/src`, `${place}/src`)
    return `${place}/bin/scoped-mcp.js`
  }).pipe(Effect.provide(NodeServices.layer))

describe("scoped-mcp", () => {
  it.live("prints its version and its help, and exits 0", () =>
    Effect.gen(function* () {
      const version = yield* scopedMcp(["--version"])
      assert.strictEqual(version.code, 0)
      assert.match(version.stdout, /\d+\.\d+\.\d+/)
      const help = yield* scopedMcp(["--help"])
      assert.strictEqual(help.code, 0)
      for (const command of ["tools", "call", "tour"]) assert.include(help.stdout, command)
    })
  )

  it.live("says in one line that a command is unknown, and exits 2", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* scopedMcp(["tolls"])
      assert.strictEqual(code, 2)
      assert.strictEqual(stdout, "")
      assert.match(stderr, /^scoped-mcp: Unknown subcommand.*tools.*\n$/)
    })
  )

  it.live("starts over on the npm package's Node.js when its own is too old, and passes the exit code on", () =>
    Effect.gen(function* () {
      const version = yield* scopedMcp(["--version"], { node: oldNode })
      assert.deepStrictEqual([version.code, version.stderr], [0, ""])
      assert.strictEqual((yield* scopedMcp(["tolls"], { node: oldNode })).code, 2)
    })
  )

  it.live("passes signals on to the one it started", () =>
    Effect.gen(function* () {
      const place = yield* folder
      const journal = `${place}/journal`
      const file = yield* write({ alpha: server({ JOURNAL: journal }) })
      const { code, left } = yield* scopedMcp(["call", "alpha", "wait", "--config", file], {
        node: oldNode,
        interruptWhen: changed(place)
      })
      assert.strictEqual(code, 130)
      assert.deepStrictEqual(readFileSync(journal, "utf8").split("\n"), ["waiting", "cancelled", ""])
      assert.deepStrictEqual(left, [])
    })
  )

  it.live("says in one line what is missing when there is no newer Node.js", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* scopedMcp(["--version"], { node: oldNode, bin: yield* copy({ sources: false }) })
      assert.strictEqual(code, 1)
      assert.match(stderr, /^scoped-mcp: needs Node\.js 22\.19 or newer, this is 20\.1\.0; .*npm package "node"\n$/)
    })
  )

  it.live("runs the sources when nothing is built", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* scopedMcp(["tolls"], {
        node: [process.execPath],
        bin: yield* copy({ sources: true })
      })
      assert.strictEqual(code, 2, stderr)
      assert.match(stderr, /^scoped-mcp: Unknown subcommand/)
    })
  )
})
