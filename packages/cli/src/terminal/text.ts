import { stripVTControlCharacters } from "node:util"
/** Texts of strangers, made fit for one line of a terminal. */
import * as CliOutput from "effect/cli/CliOutput"

const graphemes = new Intl.Segmenter()

/** Without anything that could move the cursor, change colours, or ring; line ends and tabs stay. */
export const harmless = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- these are the characters that must not reach a terminal
  stripVTControlCharacters(text).replaceAll(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g, "")

export const oneLine = (text: string): string => harmless(text).replaceAll(/\s+/g, " ").trim()

/** At most so many cells wide; what is cut off is marked. */
export const cut = (text: string, width: number): string => {
  if (CliOutput.displayWidth(text) <= width) return text
  let kept = ""
  let used = 1
  for (const { segment } of graphemes.segment(text)) {
    used += CliOutput.displayWidth(segment)
    if (used > width) break
    kept += segment
  }
  return `${kept.trimEnd()}…`
}

export const pad = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - CliOutput.displayWidth(text)))

/** Lines of at most so many cells, broken between words; a word that is longer is cut. */
export const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && CliOutput.displayWidth(line) + 1 + CliOutput.displayWidth(word) > width) {
      lines.push(line)
      line = ""
    }
    line = line === "" ? cut(word, width) : `${line} ${word}`
  }
  return [...lines, line]
}
