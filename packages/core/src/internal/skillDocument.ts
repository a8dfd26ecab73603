/** A `SKILL.md`: frontmatter in YAML between two lines of dashes, then the instructions. */
import * as Yaml from "effect/encoding/Yaml"
import { isRecord } from "./frames.ts"

export interface SkillDocument {
  readonly frontmatter: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Reads the text of a `SKILL.md`. Throws what is wrong with it; never quotes it. */
export const parse = (text: string): SkillDocument => {
  const lines = text.replaceAll("\r\n", "\n").replace(/^\uFEFF/, "")
  if (!lines.startsWith("---\n")) throw new SyntaxError("it does not begin with a line of three dashes")
  const rest = lines.slice(4)
  const end = /^---[\t ]*$/m.exec(rest)
  if (end === null) throw new SyntaxError("its frontmatter has no end")
  const frontmatter: unknown = Yaml.parse(rest.slice(0, end.index))
  if (!isRecord(frontmatter)) throw new SyntaxError("its frontmatter is not a mapping")
  return { frontmatter, body: rest.slice(end.index + end[0].length).replace(/^\n/, "") }
}

/** Where two values differ: every field of either, objects in any order, lists in theirs, nothing converted. */
export const differences = (entry: unknown, read: unknown, path = ""): ReadonlyArray<string> => {
  if (Array.isArray(entry) && Array.isArray(read) && entry.length === read.length) {
    return entry.flatMap((item, index) => differences(item, read[index], `${path}[${index}]`))
  }
  if (isRecord(entry) && isRecord(read)) {
    const keys = new Set([...Object.keys(entry), ...Object.keys(read)])
    return [...keys].flatMap((key) => differences(entry[key], read[key], path === "" ? key : `${path}.${key}`))
  }
  return entry === read ? [] : [path]
}
