/**
 * Puts the runtime and its Effect into files of the package's own, so that it installs beside Effect 3, or none. What asks a
 * model is a file apart, read when it is first needed. The licences of all that is in them go with them.
 */
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { builtinModules } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const folder = fileURLToPath(new URL("../", import.meta.url))
const target = path.join(folder, "dist/bundle")

/** The nearest folder above a module that has a named package in it. */
const packageOf = (module: string): string | undefined => {
  for (let at = path.dirname(module); at !== path.dirname(at); at = path.dirname(at)) {
    const file = path.join(at, "package.json")
    if (existsSync(file) && "name" in (JSON.parse(readFileSync(file, "utf8")) as object)) return at
  }
  return undefined
}

const noticeOf = (at: string): string => {
  const { license, name, version } = JSON.parse(readFileSync(path.join(at, "package.json"), "utf8")) as {
    readonly name: string
    readonly version: string
    readonly license?: string
  }
  const texts = globSync("{LICENSE,LICENCE,NOTICE,license}*", { cwd: at }).map((file) =>
    readFileSync(path.join(at, file), "utf8").trim()
  )
  if (texts.length === 0 && license === undefined) throw new Error(`${name} is bundled and says nothing of its licence`)
  return [`## ${name} ${version} (${license ?? "see below"})`, ...texts].join("\n\n")
}

const bundle = await rolldown({
  input: { index: path.join(folder, "src/index.ts") },
  platform: "node",
  tsconfig: false,
  resolve: { conditionNames: ["@scoped-mcp/source", "node", "import", "default"] },
  external: [/^node:/, ...builtinModules, /^@modelcontextprotocol\//, "undici"]
})
rmSync(target, { recursive: true, force: true })
const { output } = await bundle.write({ dir: target, format: "esm", sourcemap: false, minify: false })
await bundle.close()

const modules = output.flatMap((file) => (file.type === "chunk" ? file.moduleIds : []))
const packages = new Set(modules.filter((id) => path.isAbsolute(id)).map(packageOf))
packages.delete(packageOf(path.join(folder, "src/index.ts")))
const notices = [...packages].filter((at) => at !== undefined).map(noticeOf)
writeFileSync(path.join(target, "LICENSES.md"), `# Licences of what is bundled\n\n${notices.sort().join("\n\n")}\n`)
