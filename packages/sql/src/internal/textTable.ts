/**
 * A result as text a person or a model can read: aligned, and shortened.
 */
import type { Cell, QueryResult } from "../SqlDatabase.ts"

const maxRows = 50
const maxWidth = 60

export const textTable = (result: QueryResult): string => {
  const shown = result.rows.slice(0, maxRows)
  const lines = [result.columns.map(clip), ...shown.map((row) => row.map((cell) => clip(toText(cell))))]
  const widths = result.columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const isNumber = result.columns.map((_, column) => shown.every((row) => typeof row[column] === "number"))
  const [head = "", ...body] = lines.map((line) =>
    line
      .map((text, column) => (isNumber[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)))
      .join(" | ")
      .trimEnd()
  )
  const rule = widths.map((width) => "-".repeat(width)).join("-+-")
  return [head, rule, ...body, "", summary(result, shown.length)].join("\n")
}

const summary = (result: QueryResult, shown: number) =>
  [
    `${result.rowCount} ${result.rowCount === 1 ? "row" : "rows"}`,
    ...(shown < result.rowCount ? [`the first ${shown} shown`] : []),
    ...(result.truncated ? ["truncated: there are more, the row or byte limit was reached"] : [])
  ].join("; ")

const toText = (cell: Cell) => {
  if (cell === null) return "NULL"
  return typeof cell === "object" ? `base64:${cell.$base64}` : String(cell)
}

const clip = (text: string) => {
  const line = text.replaceAll(/\s+/g, " ")
  return line.length <= maxWidth ? line : `${line.slice(0, maxWidth - 1)}…`
}
