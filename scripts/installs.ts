/**
 * Installs the packages as they would be published, from tarballs, into new projects: one without anything else, one on
 * Effect 3, one on Effect 4. In each a program runs against a real server; without Effect, and beside Effect 3, a user's
 * program is compiled, the declarations of the package included in the check.
 */
import { execFile } from "node:child_process"
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"

const root = path.resolve(import.meta.dirname, "..")
const programs = path.join(root, "packages/handle/test/projects")
const server = path.join(root, "packages/node/test/fixtures/server.mjs")
const work = mkdtempSync(path.join(tmpdir(), "scoped-mcp-installs-"))
const compiler = path.join(root, "node_modules/typescript/bin/tsc")

const run = async (cwd: string, command: string, ...args: ReadonlyArray<string>): Promise<string> => {
  const { stdout } = await promisify(execFile)(command, args, { cwd, maxBuffer: 16 * 1024 * 1024 })
  return stdout
}

const versionOf = (name: string): string =>
  (JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")) as { version: string })
    .version

/** The newest Effect 3 is that of its example. */
const effect3 = (
  JSON.parse(readFileSync(path.join(root, "examples/effect-3/package.json"), "utf8")) as {
    readonly dependencies: { readonly effect: string }
  }
).dependencies.effect

const names = ["core", "node", "agent", "handle"] as const
const packed = await run(
  root,
  "npm",
  "pack",
  "--json",
  "--ignore-scripts",
  "--loglevel=error",
  "--pack-destination",
  work,
  ...names.flatMap((name) => ["--workspace", `packages/${name}`])
)
/** One list, or one entry for each name: npm has written both. */
const entries = Object.values(
  JSON.parse(packed) as Record<string, { readonly name: string; readonly filename: string }>
)
const tarball = (name: (typeof names)[number]): string =>
  path.join(work, entries.find((entry) => entry.name === `@scoped-mcp/${name}`)!.filename)

interface Project {
  readonly name: string
  readonly installs: ReadonlyArray<string>
  readonly program: string
  /** Where a program's types come from besides the package; absent where none is compiled. */
  readonly types?: { readonly lib: ReadonlyArray<string>; readonly types: ReadonlyArray<string> }
}

const library = ["ES2023", "ESNext.Disposable"]
const projects: ReadonlyArray<Project> = [
  {
    name: "without Effect",
    installs: [tarball("handle")],
    program: "plain.mjs",
    types: { lib: [...library, "DOM"], types: [] }
  },
  {
    name: `beside Effect ${effect3}`,
    installs: [tarball("handle"), `effect@${effect3}`, `@types/node@${versionOf("@types/node")}`],
    program: "effect3.mjs",
    types: { lib: library, types: ["node"] }
  },
  {
    name: `beside Effect ${versionOf("effect")}`,
    installs: [
      tarball("handle"),
      tarball("core"),
      tarball("node"),
      `effect@${versionOf("effect")}`,
      `@effect/platform-node@${versionOf("@effect/platform-node")}`
    ],
    program: "effect4.mjs"
  }
]

const check = async ({ installs, name, program, types }: Project): Promise<void> => {
  const folder = mkdtempSync(path.join(work, "project-"))
  writeFileSync(path.join(folder, "package.json"), '{ "private": true, "type": "module" }\n')
  await run(folder, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", ...installs)
  copyFileSync(path.join(programs, program), path.join(folder, program))
  await run(folder, process.execPath, program, server)
  const copies = (await run(folder, "find", "node_modules", "-path", "*/effect/package.json")).trim().split("\n")
  const expected = installs.some((install) => install.startsWith("effect@")) ? "node_modules/effect/package.json" : ""
  if (copies.join() !== expected) throw new Error(`${name}: copies of effect: ${copies.join()}`)
  if (!existsSync(path.join(folder, "node_modules/@scoped-mcp/handle/dist/bundle/LICENSES.md"))) {
    throw new Error(`${name}: the licences of what is bundled are missing`)
  }
  if (types !== undefined) {
    copyFileSync(path.join(programs, "types.ts"), path.join(folder, "types.ts"))
    const compilerOptions = {
      ...types,
      target: "ES2023",
      module: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true
    }
    writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["types.ts"] }))
    await run(folder, process.execPath, compiler, "--project", folder)
  }
  process.stdout.write(`${name}: installed, ran${types === undefined ? "" : ", compiled"}\n`)
}

try {
  await Promise.all(projects.map(check))
} finally {
  rmSync(work, { recursive: true, force: true })
}
