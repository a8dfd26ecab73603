/** Fails when a program shown in a README is not, letter for letter, the example it says it is. */
import { globSync, readFileSync } from "node:fs"

const shown = /<!-- from (\S+) -->\n```ts\n([\s\S]*?)```/g
let checked = 0
let wrong = 0

for (const page of globSync(["README.md", "packages/*/README.md", "docs/*.md"])) {
  for (const [, example, text] of readFileSync(page, "utf8").matchAll(shown)) {
    checked++
    if (readFileSync(example!, "utf8") === text) continue
    wrong++
    process.stderr.write(`${page}: the program shown is not ${example}\n`)
  }
}

process.stdout.write(`${checked} programs shown, ${wrong} of them out of date\n`)
process.exitCode = wrong > 0 || checked === 0 ? 1 : 0
