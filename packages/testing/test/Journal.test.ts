import { appendFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"
import { Journal } from "@scoped-mcp/testing"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const started = (idempotencyId: string, tool = "lend"): Journal.Fact => ({
  _tag: "ToolStarted",
  session: "one",
  tool,
  requestId: 1,
  idempotencyId
})

it.effect("writes the time of the test's clock beside each fact", () =>
  Effect.gen(function* () {
    const journal = Journal.makeUnsafe()
    yield* journal.record(started("Emma"))
    yield* TestClock.adjust("5 seconds")
    yield* journal.record(started("Emma"))
    assert.deepStrictEqual(
      (yield* journal.entries).map((entry) => entry.at),
      [0, 5000]
    )
  })
)

it.effect("waits for a fact that is not there yet", () =>
  Effect.gen(function* () {
    const journal = Journal.makeUnsafe()
    const waiting = yield* Effect.forkChild(
      journal.first((entry) => entry._tag === "ToolStarted" && entry.idempotencyId === "Emma"),
      { startImmediately: true }
    )
    yield* journal.record(started("Persuasion"))
    yield* journal.record(started("Emma"))
    assert.strictEqual((yield* Fiber.join(waiting))._tag, "ToolStarted")
    assert.strictEqual((yield* journal.first((entry) => entry._tag === "ToolStarted"))._tag, "ToolStarted")
  })
)

it.effect("names what was done twice, and nothing else", () =>
  Effect.gen(function* () {
    const journal = Journal.makeUnsafe()
    yield* Effect.forEach(
      [started("Emma"), started("Persuasion"), started("Emma"), started("Emma", "buy")],
      journal.record
    )
    const entries = yield* journal.entries
    assert.deepStrictEqual(Journal.repeated(entries), [{ tool: "lend", idempotencyId: "Emma", count: 2 }])
    assert.strictEqual(Journal.executions(entries), 4)
    assert.strictEqual(Journal.executions(entries, "buy"), 1)
  })
)

it.effect("counts the sessions that are open", () =>
  Effect.gen(function* () {
    const journal = Journal.makeUnsafe()
    yield* journal.record({ _tag: "SessionOpened", session: "one", era: "2025" })
    yield* journal.record({ _tag: "SessionOpened", session: "two", era: "2026" })
    yield* journal.record({ _tag: "SessionEnded", session: "one", why: "closed by the client" })
    assert.deepStrictEqual(Journal.openSessions(yield* journal.entries), ["two"])
  })
)

it.live("in a file leaves out a line that is still being written, and is there before its first line", () =>
  Effect.gen(function* () {
    const { journal, path } = yield* Journal.temporary
    assert.deepStrictEqual(yield* journal.entries, [])
    const line = JSON.stringify({ ...started("Emma"), at: 3 })
    appendFileSync(path, `${line}\n${line.slice(0, 20)}`)
    assert.strictEqual((yield* journal.entries).length, 1)
    const second = yield* Effect.forkChild(journal.first((entry) => entry.at === 7))
    appendFileSync(path, `${line.slice(20)}\n${JSON.stringify({ ...started("Emma"), at: 7 })}\n`)
    assert.strictEqual((yield* Fiber.join(second)).at, 7)
    assert.strictEqual((yield* journal.entries).length, 3)
  })
)

it.live("in a file with a line that is none of its facts says which", () =>
  Effect.gen(function* () {
    const { journal, path } = yield* Journal.temporary
    appendFileSync(path, '{"_tag":"Nonsense","at":1}\n')
    assert.include(String(yield* Effect.exit(journal.entries)), "Nonsense")
  })
)
