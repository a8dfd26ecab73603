/**
 * Variables in a configuration: `${NAME}`, `${NAME:-default}` for one that is not set or empty, `$$` for a dollar sign.
 *
 * A text that took a variable's value comes out `Redacted`. One whose variable is not set stays as it was written, and
 * is reported.
 */
import * as Redacted from "effect/Redacted"
import type { Problem } from "./configProblem.ts"
import { isRecord } from "./frames.ts"

const placeholder = /\$\$|\$\{([^}]*)(\}?)/g
const inside = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([^$]*))?$/

/** A text whose variable is not set. */
export interface Missing {
  readonly path: ReadonlyArray<PropertyKey>
  readonly name: string
}

export interface Resolved {
  readonly value: unknown
  readonly missing: ReadonlyArray<Missing>
  readonly problems: ReadonlyArray<Problem>
}

/** The variables that a tree mentions. */
export const names = (root: unknown): ReadonlySet<string> => {
  const found = new Set<string>()
  const visit = (value: unknown): void => {
    if (typeof value === "string") {
      for (const [, content] of value.matchAll(placeholder)) {
        const name = inside.exec(content ?? "")?.[1]
        if (name !== undefined) found.add(name)
      }
    } else if (typeof value === "object" && value !== null) Object.values(value).forEach(visit)
  }
  visit(root)
  return found
}

/** Puts the values in. `path` is where the tree stands in its file. */
export const resolve = (
  root: unknown,
  path: ReadonlyArray<PropertyKey>,
  variables: ReadonlyMap<string, string>
): Resolved => {
  const missing: Array<Missing> = []
  const problems: Array<Problem> = []

  const text = (written: string, path: ReadonlyArray<PropertyKey>): string | Redacted.Redacted<string> => {
    let secret = false
    let complete = true
    const value = written.replaceAll(placeholder, (match, content: string | undefined, end: string | undefined) => {
      if (content === undefined) return "$"
      const [, name, fallback] = (end === "}" ? inside.exec(content) : null) ?? []
      if (name === undefined) {
        problems.push({ path, expected: "expected ${NAME}, ${NAME:-default}, or $$ for a dollar sign" })
        return match
      }
      const found = variables.get(name)
      if (found !== undefined) {
        secret = true
        return found
      }
      if (fallback === undefined) {
        missing.push({ path, name })
        complete = false
      }
      return fallback ?? match
    })
    if (!complete) return written
    return secret ? Redacted.make(value) : value
  }

  const visit = (value: unknown, path: ReadonlyArray<PropertyKey>): unknown => {
    if (typeof value === "string") return text(value, path)
    if (Array.isArray(value)) return value.map((item, index) => visit(item, [...path, index]))
    if (!isRecord(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item, [...path, key])]))
  }

  const value = visit(root, path)
  return { value, missing, problems }
}
