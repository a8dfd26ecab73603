import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { assert, it } from "@effect/vitest"
import { ProcessTable } from "@scoped-mcp/node"
import { Effect } from "effect"
import * as Survey from "../src/internal/Survey.ts"
import * as Tree from "../src/internal/Tree.ts"
import { eventually } from "./system.ts"

/** A process that says something first, and is killed with the scope. */
const child = (command: string, ...args: Array<string>) =>
  Effect.acquireRelease(
    Effect.callback<ChildProcess>((resume) => {
      const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"], detached: true })
      child.stdout.once("data", () => resume(Effect.succeed(child)))
    }),
    (child) => Effect.sync(() => process.kill(-child.pid!, "SIGKILL"))
  )

it.live("reads a process whose name looks like the rest of its line", () =>
  Effect.gen(function* () {
    const name = "a) R 1 (b c)"
    const odd = yield* child(
      process.execPath,
      "-e",
      `process.title = "${name}"; console.log(); setInterval(() => {}, 1e6)`
    )
    const entry = ProcessTable.read(odd.pid!)!
    assert.deepInclude(entry, { pid: odd.pid!, parent: process.pid, group: odd.pid!, zombie: false, name })
    assert.match(entry.startTime, /^\d+$/)
    assert.deepInclude(ProcessTable.readAll(), entry)
  })
)

it.live("knows descendants, and those that have ended but were not collected", () =>
  Effect.gen(function* () {
    const parent = yield* child("sh", "-c", "sleep 1 & sleep 1000 & echo; exec sleep 1000")
    const family = yield* eventually(
      Effect.sync(() => ProcessTable.descendants(ProcessTable.readAll(), parent.pid!)),
      (seen) => seen.filter(({ zombie }) => zombie).length === 1
    )
    assert.lengthOf(family, 3)
    assert.strictEqual(family[0]?.pid, parent.pid)
    const dead = family.find(({ zombie }) => zombie)!
    assert.strictEqual(dead.parent, parent.pid)
    assert.strictEqual(ProcessTable.environment(dead.pid).join(""), "")
  })
)

it("knows nothing of a process that is gone", () => {
  const { pid } = spawnSync("true")
  assert.isUndefined(ProcessTable.read(pid))
  assert.deepStrictEqual(ProcessTable.environment(pid), [])
  assert.deepStrictEqual(ProcessTable.descendants(ProcessTable.readAll(), pid), [])
})

it("takes no later process for its own that has got the number of the leader", () => {
  const { pid } = spawnSync("true")
  const stranger = { pid, parent: 1, group: pid, startTime: "1", zombie: false, stopped: false, name: "stranger" }
  const tree = Tree.make(pid, "mark", () => Survey.snapshot([], () => []))
  tree.leaderEnded()
  const seen = Survey.snapshot([stranger, { ...stranger, pid: pid + 1, parent: pid }], () => [])
  assert.strictEqual(tree.alive(seen), 0)
  assert.strictEqual(tree.signal(seen, "SIGTERM"), 0)
})
