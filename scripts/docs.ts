/** Fails when a program shown in a page is not, letter for letter, the example it says it is, or a link leads nowhere. */
import { existsSync, globSync, readFileSync } from "node:fs"
import * as path from "node:path"

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

process.stdout.write(`${checked} programs and links in the documentation, ${wrong} of them wrong\n`)
process.exitCode = wrong > 0 || checked === 0 ? 1 : 0
