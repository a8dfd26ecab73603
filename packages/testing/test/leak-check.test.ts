import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"

const Report = Schema.fromJsonString(
  Schema.Struct({
    testResults: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        status: Schema.String,
        message: Schema.String,
        assertionResults: Schema.Array(
          Schema.Struct({
            fullName: Schema.String,
            status: Schema.String,
            failureMessages: Schema.NullOr(Schema.Array(Schema.String)).pipe(Schema.optional)
          })
        )
      })
    )
  })
)

type File = (typeof Report)["Type"]["testResults"][number]

/** What Vitest reports of the files in `fixtures/leak`, in each of its pools. */
class Runs extends Context.Service<Runs, Readonly<Record<"forks" | "threads", (name: string) => File>>>()("Runs") {
  static readonly layer = Layer.effect(
    Runs,
    Effect.gen(function* () {
      const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs")
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "leak-check-"))),
        (folder) =>
          Effect.sync(() => {
            for (const pid of readFileSync(join(folder, "pids"), "utf8").trim().split("\n")) process.kill(Number(pid))
            rmSync(folder, { recursive: true })
          })
      )
      const config = fileURLToPath(new URL("./fixtures/leak/vitest.config.ts", import.meta.url))
      const run = (pool: string) =>
        Effect.promise(async () => {
          const env = { ...process.env, LEFT_BEHIND: join(folder, "pids") }
          const report = join(folder, `${pool}.json`)
          const output = ["--reporter", "json", "--outputFile", report]
          const args = [vitest, "run", "--config", config, "--pool", pool, ...output]
          await once(spawn(process.execPath, args, { stdio: "ignore", env }), "exit")
          return readFileSync(report, "utf8")
        }).pipe(
          Effect.flatMap(Schema.decodeUnknownEffect(Report)),
          Effect.map(
            ({ testResults }) =>
              (name: string) =>
                testResults.find((file) => file.name.endsWith(`/${name}.fixture.ts`))!
          )
        )
      return yield* Effect.all({ forks: run("forks"), threads: run("threads") }, { concurrency: 2 })
    })
  )
}

const blamed = (file: File) => file.assertionResults.filter(({ status }) => status !== "passed")

layer(Runs.layer, { timeout: "2 minutes" })("the setup file for Vitest", (it) => {
  describe("in the default pool", () => {
    it.effect("blames the test that left something behind, of every kind, and no other", () =>
      Effect.gen(function* () {
        const failed = blamed((yield* Runs).forks("each"))
        assert.deepStrictEqual(
          failed.map(({ fullName }) => fullName),
          ["leaves one of each behind"]
        )
        const message = failed[0]?.failureMessages?.join("\n") ?? ""
        const kinds = [...message.matchAll(/^ {2}([A-Z]\w+) /gm)].map(([, kind]) => kind)
        assert.sameMembers(
          [...new Set(kinds)],
          ["Process", "FileDescriptor", "ListeningPort", "Timer", "Handle", "Listener", "Fiber"]
        )
      })
    )

    it.effect("lets tests share what a layer around them releases", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* Runs).forks("shared").status, "passed")
      })
    )

    it.effect("finds what is left when the last hooks of a file have run", () =>
      Effect.gen(function* () {
        const file = (yield* Runs).forks("sharedLeak")
        assert.deepStrictEqual(blamed(file), [])
        assert.strictEqual(file.status, "failed")
        assert.match(file.message, /Timer setInterval at .*sharedLeak\.fixture\.ts/)
      })
    )
  })

  describe("in threads of one process", () => {
    it.effect("finds what can be told to be the thread's, and nothing else", () =>
      Effect.gen(function* () {
        const failed = blamed((yield* Runs).threads("each"))
        assert.deepStrictEqual(
          failed.map(({ fullName }) => fullName),
          ["leaves one of each behind"]
        )
        const kinds = [...(failed[0]?.failureMessages?.join("\n") ?? "").matchAll(/^ {2}([A-Z]\w+) /gm)]
        assert.sameMembers(
          [...new Set(kinds.map(([, kind]) => kind))],
          ["Process", "Timer", "Handle", "Listener", "Fiber"]
        )
      })
    )
  })
})
