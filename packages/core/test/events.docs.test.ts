import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { PoolEvent } from "@scoped-mcp/core"
import { Effect } from "effect"
import { lines } from "../src/internal/poolLogs.ts"
import { metrics } from "../src/internal/poolMetrics.ts"
import { make } from "./support/pool.ts"
import { ScriptedPeer } from "./support/ScriptedPeer.ts"

/** The cells of each row of the tables under a heading of the page, without their headings. */
const tables = (heading: string): ReadonlyArray<ReadonlyArray<ReadonlyArray<string>>> => {
  const page = readFileSync(new URL("../../../docs/events.md", import.meta.url), "utf8")
  const section = page.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!
  return [...section.matchAll(/(?:^\|.*\n)+/gm)].map(([table]) =>
    table
      .trim()
      .split("\n")
      .slice(2)
      .map((row) =>
        row
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim())
      )
  )
}

const words = (cell: string | undefined) => (cell ?? "").match(/`([^`]+)`/g)?.map((word) => word.slice(1, -1)) ?? []

describe("docs/events.md", () => {
  it("lists every event with its fields", () => {
    const [table] = tables("Events")
    assert.deepStrictEqual(
      table!.map(([name, fields]) => [words(name)[0], words(fields)]),
      PoolEvent.PoolEvent.members.map(({ fields }) => {
        const { _tag, ...rest } = fields
        return [_tag.schema.literal, Object.keys(rest)]
      })
    )
  })

  it.effect("lists every statistic", () =>
    Effect.gen(function* () {
      const pool = yield* make({ memory: new ScriptedPeer().source() })
      const { servers, ...rest } = yield* pool.stats
      const [ofPool, ofServer] = tables("Statistics")
      const names = (table: ReadonlyArray<ReadonlyArray<string>>) => table.map(([name]) => words(name)[0]!)
      assert.sameMembers(names(ofPool!), Object.keys({ servers, ...rest }))
      assert.sameMembers(names(ofServer!), Object.keys(servers[0]!))
    })
  )

  it("lists every metric with its type", () => {
    const [table] = tables("Metrics")
    assert.deepStrictEqual(
      table!.map(([name, type]) => [words(name)[0], type]),
      Object.values(metrics).map(({ id, type }) => [id, type])
    )
  })

  it("lists every line that is logged, with its level and subsystem", () => {
    const [table] = tables("Logs")
    assert.deepStrictEqual(
      table!.map(([line, level, subsystem]) => [words(line)[0], level, subsystem]),
      Object.values(lines).map(({ level, subsystem, text }) => [text, level, subsystem])
    )
  })
})
