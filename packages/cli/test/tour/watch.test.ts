import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { createInterface } from "node:readline"
import { assert, describe, it } from "@effect/vitest"
import * as ProcessWatch from "@scoped-mcp/cli/tour/ProcessWatch"
import * as SocketWatch from "@scoped-mcp/cli/tour/SocketWatch"
import { Effect } from "effect"

interface Started {
  readonly child: ChildProcess
  readonly pids: Array<number>
}

/** Starts `script`, waits for its first line, and ends what that names (process numbers) with the test. */
const run = (script: string, env: Readonly<Record<string, string>> = {}) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<Started> => {
      const child = spawn("sh", ["-c", script], {
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "ignore"]
      })
      const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string]
      return { child, pids: line.split(" ").map(Number) }
    }),
    ({ pids }) =>
      Effect.sync(() => {
        for (const pid of pids) process.kill(pid, "SIGKILL")
      })
  )

/** Starts a process whose parent has ended. */
const runOrphan = (env: Readonly<Record<string, string>>) =>
  Effect.tap(run("sleep 60 & echo $!", env), ({ child }) =>
    child.exitCode === null ? Effect.promise(() => once(child, "exit")) : Effect.void
  )

const numbers = (watch: ProcessWatch.ProcessWatch) => watch.left().map(({ pid }) => pid)

describe("ProcessWatch", () => {
  it.live("finds what descends from us, and not what was there before", () =>
    Effect.gen(function* () {
      const earlier = yield* run("echo $$; exec sleep 60")
      const watch = ProcessWatch.make()
      assert.deepStrictEqual(watch.left(), [])
      const later = yield* run("echo $$; exec sleep 60")
      assert.deepStrictEqual(numbers(watch), later.pids)
      assert.notDeepEqual(earlier.pids, later.pids)
    })
  )

  it.live("finds a process that was handed to another parent since it was seen", () =>
    Effect.gen(function* () {
      const watch = ProcessWatch.make()
      const { child, pids } = yield* run("sleep 60 & echo $!; wait")
      watch.look()
      const exited = once(child, "exit")
      child.kill("SIGKILL")
      yield* Effect.promise(() => exited)
      assert.deepStrictEqual(numbers(watch), pids)
    })
  )

  it.live("finds a process it has never seen below us by the mark of one it has", () =>
    Effect.gen(function* () {
      const watch = ProcessWatch.make()
      const mark = { SCOPED_MCP_OWNER: "5ca1ab1e.1" }
      yield* run("echo $$; exec sleep 60", mark)
      watch.look()
      const stray = yield* runOrphan({ SCOPED_MCP_OWNER: "other.7,5ca1ab1e.2" })
      assert.includeMembers(numbers(watch), stray.pids)
      const stranger = yield* runOrphan({ SCOPED_MCP_OWNER: "other.7" })
      assert.notIncludeMembers(numbers(watch), stranger.pids)
    })
  )
})

describe("SocketWatch", () => {
  it.live("finds a socket of ours, and anyone who listens on a port it minds", () =>
    Effect.gen(function* () {
      const watch = SocketWatch.make()
      assert.deepStrictEqual(watch.left(), [])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const listening = yield* Effect.acquireRelease(
            Effect.promise(async () => {
              const server = createServer().listen(0, "127.0.0.1")
              await once(server, "listening")
              return server
            }),
            (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
          )
          const address = listening.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          watch.mind(port)
          const left = watch.left()
          assert.strictEqual(left.length, 2)
          assert.match(left[0] ?? "", /^socket:\[\d+\]$/)
          assert.strictEqual(left[1], `a socket listening on port ${port}`)
        })
      )
      assert.deepStrictEqual(watch.left(), [])
    })
  )
})
