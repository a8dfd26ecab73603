/**
 * Fails when a program shown in a page is not, letter for letter, the example it says it is, a link leads nowhere, or the
 * table of a server's options is not what the code has.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { Duration } from "effect"
import { defaults } from "../packages/core/src/Limits.ts"

const shown = /<!-- from (\S+) -->\n```ts\n([\s\S]*?)```/g
const link = /\]\((?!https?:)([^)#\s]+)/g
let checked = 0
let wrong = 0

for (const page of globSync(["*.md", "packages/*/README.md", "packages/testing/soak/README.md", "docs/*.md"])) {
  const text = readFileSync(page, "utf8")
  for (const [, example, program] of text.matchAll(shown)) {
    checked++
    if (readFileSync(example, "utf8") === program) continue
    wrong++
    process.stderr.write(`${page}: the program shown is not ${example}\n`)
  }
  for (const [, target] of text.matchAll(link)) {
    checked++
    if (existsSync(path.join(path.dirname(page), target))) continue
    wrong++
    process.stderr.write(`${page}: a link leads to ${target}, which is not there\n`)
  }
}

/** A default as the tables write it. */
const written = (name: string, value: unknown): string => {
  if (Duration.isDuration(value)) {
    const seconds = Duration.toSeconds(value)
    return seconds >= 600 ? `${seconds / 60} min` : `${seconds} s`
  }
  if (typeof value !== "number") return String(value)
  return name.endsWith("Bytes") ? `${value / 1024 ** 2} MiB` : value.toLocaleString("en-GB")
}

const options = (values: object, prefix = ""): ReadonlyArray<readonly [string, string]> =>
  Object.entries(values).flatMap(([key, value]: [string, unknown]) =>
    typeof value === "object" && value !== null && !Duration.isDuration(value)
      ? options(value, `${prefix}${key}.`)
      : [[prefix + key, written(key, value)] as const]
  )

const readme = "packages/core/README.md"
const rows = readFileSync(readme, "utf8").split("## Options of a server")[1].split("\n## ")[0]
const shownOptions = new Map(
  [...rows.matchAll(/^\| `([^`]+)` \|[^|]+\| ([^|]+) \|/gm)].map(([, name, value]) => [
    name,
    value.replaceAll("`", "").trim()
  ])
)
for (const [name, value] of options(defaults)) {
  checked++
  if (shownOptions.get(name) === value) continue
  wrong++
  process.stderr.write(`${readme}: the default of ${name} is ${value}, not ${shownOptions.get(name) ?? "missing"}\n`)
}

process.stdout.write(`${checked} programs, links and options in the documentation, ${wrong} of them wrong\n`)
process.exitCode = wrong > 0 || checked === 0 ? 1 : 0
