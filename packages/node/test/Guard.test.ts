import { type ChildProcess, spawn } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Guard from "../src/Guard.ts"
import * as ProcessTable from "../src/ProcessTable.ts"
import { alive, eventually, fixture, makeTag } from "./system.ts"

const guards = (host: number) =>
  ProcessTable.descendants(ProcessTable.readAll(), host).filter(
    ({ group, name, pid }) => group === pid && name === "sh" && pid !== host
  )

/** A host that owns these servers; nobody but the test ends it. */
const host = Effect.fnUntraced(function* (servers: ReadonlyArray<ReadonlyArray<string>>) {
  const tag = makeTag()
  const settings = JSON.stringify({ servers, run: "NodeRuntime", act: "wait", env: { TAG: tag } })
  let said = ""
  const child = yield* Effect.acquireRelease(
    Effect.sync((): ChildProcess => {
      const child = spawn(process.execPath, ["--conditions=@scoped-mcp/source", fixture("host.mjs"), settings])
      for (const output of [child.stdout, child.stderr]) output.on("data", (chunk) => (said += String(chunk)))
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  yield* eventually(
    Effect.sync(() => said),
    (text) => text.includes("ready"),
    "40 seconds"
  )
  return { child, tag, said: () => said }
})

describe.concurrent("Guard", { timeout: 60_000 }, () => {
  it.live("ends everything a host had started when the host is killed", () =>
    Effect.gen(function* () {
      const { child, tag } = yield* host([
        [],
        ["ignore-end"],
        ["ignore-end", "ignore-term"],
        ["ignore-end", "helper:pipes"],
        ["ignore-end", "ignore-term", "helper:session"],
        ["ignore-end", "helper:escape"],
        ["ignore-end", "helper:nameless"]
      ])
      const [guard] = guards(child.pid!)
      const before = yield* alive(tag)
      assert.isAtLeast(before.length, 11)
      const since = performance.now()
      // Ctrl-C, or the end of the machine, is for all at once; the guard goes on until it has done its work.
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(guard!.pid, signal)
      child.kill("SIGKILL")
      yield* eventually(alive(tag, before), (seen) => seen.length === 0)
      const took = performance.now() - since
      assert.isBelow(took, 3_000, "the servers outlived their host too long")
      yield* eventually(
        Effect.sync(() => ProcessTable.read(guard!.pid)),
        (entry) => entry === undefined || entry.zombie
      )
    })
  )

  it.live("is replaced when it is killed itself, and the new one does the work", () =>
    Effect.gen(function* () {
      const { child, said, tag } = yield* host([["ignore-end", "helper:nameless"]])
      const before = yield* alive(tag)
      const [first] = guards(child.pid!)
      process.kill(first!.pid, "SIGKILL")
      yield* eventually(
        Effect.sync(() => guards(child.pid!).filter(({ pid, zombie }) => pid !== first!.pid && !zombie)),
        (found) => found.length === 1
      )
      // Its output comes on its own way, perhaps later than the new process is seen.
      yield* eventually(Effect.sync(said), (text) => text.includes("has ended; another one is started"))
      child.kill("SIGKILL")
      yield* eventually(alive(tag, before), (seen) => seen.length === 0)
    })
  )

  it.live("runs only while there is something to watch, and ends nothing that has been forgotten", () =>
    Effect.gen(function* () {
      const bystander = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sleep", ["60"], { detached: true, stdio: "ignore" })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const guard = yield* Guard.make("nobody carries this")
          assert.isUndefined(guard.pid())
          guard.watch(bystander.pid!)
          const first = guard.pid()!
          yield* guard.forget(bystander.pid!)
          assert.isUndefined(ProcessTable.read(first))
          guard.watch(1_000_000_000)
          assert.notStrictEqual(guard.pid(), first)
        })
      )
      assert.isFalse(ProcessTable.read(bystander.pid!)!.zombie)
    })
  )
})
