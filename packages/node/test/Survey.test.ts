import { type ChildProcess, spawn } from "node:child_process"
import { assert, it } from "@effect/vitest"
import { ProcessMark, ProcessTable } from "@scoped-mcp/node"
import { Effect } from "effect"
import * as Survey from "../src/internal/Survey.ts"

/** A process with these marks, which is killed with the scope. */
const marked = (value: string) =>
  Effect.acquireRelease(
    Effect.callback<ChildProcess>((resume) => {
      const env = { PATH: process.env["PATH"], [ProcessMark.variable]: value }
      const child = spawn("sh", ["-c", "echo; exec sleep 1000"], { env, stdio: ["ignore", "pipe", "ignore"] })
      child.stdout.once("data", () => resume(Effect.succeed(child)))
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

it.live("reads once for all who ask together, and again for those who ask after that", () =>
  Effect.gen(function* () {
    const survey = Survey.make()
    const together = yield* Effect.all([survey.next, survey.next, survey.next], { concurrency: "unbounded" })
    assert.strictEqual(new Set(together).size, 1)
    assert.notStrictEqual(yield* survey.next, together[0])
  })
)

it.live("finds what carries a mark, beside whatever others, and nothing by a part of one", () =>
  Effect.gen(function* () {
    const survey = Survey.make()
    yield* survey.next
    const child = yield* marked("outer.1,mine.2")
    const seen = survey.now()!
    const carrying = (mark: string) => seen.carrying(mark).map(({ pid }) => pid)
    assert.deepStrictEqual(carrying("mine.2"), [child.pid])
    assert.deepStrictEqual(carrying("outer.1"), [child.pid])
    assert.deepStrictEqual(carrying("mine"), [])
    const entry = ProcessTable.read(child.pid!)!
    assert.strictEqual(seen.get(`${entry.pid}@${entry.startTime}`)?.group, entry.group)
    assert.include(
      seen.childrenOf(process.pid).map(({ pid }) => pid),
      child.pid
    )
  })
)
