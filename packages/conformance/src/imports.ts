/** What a program imports, read from its text. */
import { globSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

/** A published package of ours that a user would import, or Effect. */
const allowed = /^(effect|@scoped-mcp\/(core|node))(\/|$)/

/** Ways to get at a module that need no `import`. */
const hidden = /\b(require|createRequire|getBuiltinModule|binding|register|eval|Function)\s*\(/g

const specifier = /(?:\bfrom|\bimport|\bimport\s*\()\s*(["'`])([^"'`]*)\1/g

const isInside = (folder: string, file: string, path: string): boolean =>
  path.startsWith(".") && !relative(folder, join(dirname(file), path)).startsWith("..")

/** What the programs of a folder reach besides Effect, what we publish, and each other: `file: what`. */
export const strangers = (folder: string): ReadonlyArray<string> =>
  globSync(join(folder, "**/*")).flatMap((file) => {
    if (!/\.[cm]?[jt]sx?$/.test(file)) return []
    const text = readFileSync(file, "utf8")
    const imports = [...text.matchAll(specifier)].map(([, , path = ""]) => path)
    const dynamic = [...text.matchAll(/\bimport\s*\((?!\s*["'`][^"'`$]*["'`]\s*\))/g)].map(() => "import(…)")
    return [
      ...imports.filter((path) => !allowed.test(path) && !isInside(folder, file, path)),
      ...dynamic,
      ...[...text.matchAll(hidden)].map(([, name]) => `${name}(…)`)
    ].map((what) => `${relative(folder, file)}: ${what}`)
  })
