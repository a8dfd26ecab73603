import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import { textTable } from "../src/internal/textTable.ts"
import { Cell } from "../src/SqlDatabase.ts"

const result = (columns: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>, truncated = false) => ({
  columns,
  rows,
  rowCount: rows.length,
  truncated,
  elapsedMs: 1
})

it("aligns columns, numbers to the right", () => {
  assert.strictEqual(
    textTable(
      result(
        ["id", "name"],
        [
          [1, "Tea"],
          [10, null],
          [3, { $base64: "AP8=" }]
        ]
      )
    ),
    ["id | name", "---+------------", " 1 | Tea", "10 | NULL", " 3 | base64:AP8=", "", "3 rows"].join("\n")
  )
})

it("shows the first 50 rows and says how many there are", () => {
  const lines = textTable(
    result(
      ["n"],
      Array.from({ length: 51 }, (_, index) => [index]),
      true
    )
  ).split("\n")
  assert.strictEqual(lines.length, 2 + 50 + 2)
  assert.strictEqual(
    lines.at(-1),
    "51 rows; the first 50 shown; truncated: there are more, the row or byte limit was reached"
  )
})

it("clips long and multi-line text to one line", () => {
  const [, , line = ""] = textTable(result(["t"], [[`a\n  b${"c".repeat(100)}`]])).split("\n")
  assert.strictEqual(line, `a b${"c".repeat(56)}…`)
})

it.prop(
  "keeps every row on a line of its own",
  [Schema.Array(Schema.Tuple([Cell, Cell])).check(Schema.isMaxLength(20))],
  ([rows]) => {
    const lines = textTable(result(["a", "b"], rows)).split("\n")
    assert.strictEqual(lines.length, rows.length + 4)
  }
)
