import { spawn } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Guard from "../src/Guard.ts"
import * as ProcessTable from "../src/ProcessTable.ts"
import { host } from "./host.ts"
import { alive, eventually, timed } from "./system.ts"

const guards = (host: number) =>
  ProcessTable.descendants(ProcessTable.readAll(), host).filter(
    ({ group, name, pid }) => group === pid && name === "sh" && pid !== host
  )

/** A host that owns these servers; nobody but the test ends it. */
const owning = Effect.fnUntraced(function* (servers: ReadonlyArray<ReadonlyArray<string>>) {
  const program = yield* host({ run: "NodeRuntime", servers })
  yield* program.said("ready")
  return program
})

describe.concurrent("Guard", { timeout: 60_000 }, () => {
  it.live("ends everything a host had started when the host is killed", () =>
    Effect.gen(function* () {
      const { child, tag } = yield* owning([
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
      const { child, said, tag } = yield* owning([["ignore-end", "helper:nameless"]])
      const before = yield* alive(tag)
      const [first] = guards(child.pid!)
      process.kill(first!.pid, "SIGKILL")
      yield* eventually(
        Effect.sync(() => guards(child.pid!).filter(({ pid, zombie }) => pid !== first!.pid && !zombie)),
        (found) => found.length === 1
      )
      // Its output comes on its own way, perhaps later than the new process is seen.
      yield* said("has ended; another one is started")
      child.kill("SIGKILL")
      yield* eventually(alive(tag, before), (seen) => seen.length === 0)
    })
  )

  const frozen = Effect.fnUntraced(function* () {
    const guard = yield* Guard.make("nobody carries this")
    guard.watch(1_000_000_000)
    const pid = guard.pid()!
    process.kill(pid, "SIGSTOP")
    yield* eventually(
      Effect.sync(() => ProcessTable.read(pid)),
      (entry) => entry?.stopped === true
    )
    return { guard, pid }
  })

  it.live("holds up no close while it is frozen", () =>
    Effect.gen(function* () {
      const { guard, pid } = yield* frozen()
      const { millis } = yield* timed(guard.forget(1_000_000_000))
      assert.isBelow(millis, 500)
      assert.isUndefined(ProcessTable.read(pid))
    })
  )

  it.live("is replaced when it is found frozen", () =>
    Effect.gen(function* () {
      const { guard, pid } = yield* frozen()
      guard.watch(1_000_000_001)
      yield* eventually(Effect.sync(guard.pid), (now) => now !== undefined && now !== pid)
      assert.isUndefined(ProcessTable.read(pid))
    })
  )

  it.effect("is given up after four deaths in a minute, and started again after that", () =>
    Effect.gen(function* () {
      const guard = yield* Guard.make("nobody carries this")
      guard.watch(1_000_000_000)
      for (let death = 1; death <= 4; death++) {
        const pid = guard.pid()!
        process.kill(pid, "SIGKILL")
        yield* eventually(Effect.sync(guard.pid), (now) => now !== pid)
        assert.strictEqual(guard.pid() === undefined, death === 4)
      }
      guard.watch(1_000_000_001)
      assert.isUndefined(guard.pid())
      yield* TestClock.adjust("1 minute")
      guard.watch(1_000_000_002)
      assert.isDefined(guard.pid())
    })
  )

  const bystanding = Effect.acquireRelease(
    Effect.sync(() => spawn("sleep", ["60"], { detached: true, stdio: "ignore" })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

  it.live("ends nothing that has been forgotten while it watches others", () =>
    Effect.gen(function* () {
      const bystander = yield* bystanding
      const watched = yield* bystanding
      yield* Effect.scoped(
        Effect.gen(function* () {
          const guard = yield* Guard.make("nobody carries this")
          guard.watch(bystander.pid!)
          guard.watch(watched.pid!)
          yield* guard.forget(bystander.pid!)
        })
      )
      yield* eventually(
        Effect.sync(() => watched.signalCode),
        (signal) => signal === "SIGTERM"
      )
      assert.isNull(bystander.signalCode)
    })
  )

  it.live("runs only while there is something to watch, and ends nothing that has been forgotten", () =>
    Effect.gen(function* () {
      const bystander = yield* bystanding
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
