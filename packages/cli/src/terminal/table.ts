/** Columns of text, numbers to the right. The last one takes what the others leave of the width. */
import * as CliOutput from "effect/cli/CliOutput"
import { cut, oneLine, pad, wrap } from "./text.ts"

export interface TableOptions {
  readonly width: number
  /** What becomes of a last cell that is too long. Default `cut`. */
  readonly overflow?: "cut" | "wrap" | undefined
  readonly indent?: number | undefined
  /** Paints a cell after its width is settled. */
  readonly paint?: ((cell: string, column: number) => string) | undefined
}

const gap = 2
const leastLast = 16

export const table = (rows: ReadonlyArray<ReadonlyArray<string>>, options: TableOptions): ReadonlyArray<string> => {
  const indent = options.indent ?? 0
  const paint = options.paint ?? ((cell) => cell)
  const cells = rows.map((row) => row.map(oneLine))
  const last = Math.max(0, ...cells.map((row) => row.length)) - 1
  const widths: Array<number> = []
  const numeric: Array<boolean> = []
  let left = options.width - indent
  for (let column = 0; column < last; column++) {
    numeric.push(cells.every((row) => /^\d+$/.test(row[column] ?? "")))
    const wanted = Math.max(...cells.map((row) => CliOutput.displayWidth(row[column] ?? "")))
    const width = Math.min(wanted, Math.max(4, left - leastLast - gap * (last - column)))
    widths.push(width)
    left -= width + gap
  }
  return cells.flatMap((row) => {
    const end = row[last] ?? ""
    const lines = options.overflow === "wrap" ? wrap(end, left) : [cut(end, left)]
    return lines.map((line, index) => {
      const heads = widths.map((width, column) => {
        const cell = index === 0 ? (row[column] ?? "") : ""
        const padded = numeric[column] === true ? cell.padStart(width) : pad(cut(cell, width), width)
        return paint(padded, column) + " ".repeat(gap)
      })
      return `${" ".repeat(indent)}${heads.join("")}${paint(line, last)}`.trimEnd()
    })
  })
}
