import { statSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { generateShop } from "../scripts/generateShop.ts"
import { SqliteDatabase } from "../src/index.ts"
import { temporaryDirectory } from "./support/fixtures.ts"

/** Everything a database holds, whichever SQLite wrote its pages. */
const contents = (file: string) => {
  const database = new DatabaseSync(file, { readOnly: true })
  const schema = database.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name").all()
  const tables = schema.filter(({ name, type }) => type === "table" && !String(name).startsWith("sqlite_"))
  const rows = tables.map(({ name }) => [name, database.prepare(`SELECT * FROM ${String(name)} ORDER BY 1, 2`).all()])
  database.close()
  return { schema, rows }
}

it.effect("the generator makes the committed sample, row for row", () =>
  Effect.gen(function* () {
    const file = join(yield* temporaryDirectory, "shop.sqlite")
    generateShop(file)
    assert.deepStrictEqual(contents(SqliteDatabase.sample), contents(file))
  })
)

it("the sample is sound and small", () => {
  const database = new DatabaseSync(SqliteDatabase.sample, { readOnly: true })
  assert.deepStrictEqual(database.prepare("PRAGMA foreign_key_check").all(), [])
  assert.strictEqual(database.prepare("PRAGMA integrity_check").get()?.["integrity_check"], "ok")
  assert.strictEqual(database.prepare("PRAGMA journal_mode").get()?.["journal_mode"], "delete")
  const { lines } = database.prepare("SELECT count(*) AS lines FROM order_lines").get() ?? {}
  assert.isAbove(Number(lines), 5000)
  database.close()
  assert.isBelow(statSync(SqliteDatabase.sample).size, 1024 * 1024)
})
