/** Which code is measured. */
import { readFileSync, realpathSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const here = fileURLToPath(new URL("../..", import.meta.url))

/** The folder of a package, as a module in `from` would find it. */
const folderOf = (name: string, from: string): string => {
  for (const modules of createRequire(join(from, "package.json")).resolve.paths(name) ?? []) {
    try {
      return realpathSync(join(modules, name))
    } catch {
      // not in this folder; the next one up may have it
    }
  }
  throw new Error(`${name} is not installed: run \`npm ci\` in the root and in packages/bench`)
}

const packages = [
  "@scoped-mcp/core",
  "@scoped-mcp/node",
  "effect",
  "@effect/platform-node",
  "undici",
  "@modelcontextprotocol/client",
  "@modelcontextprotocol/sdk",
  "@ai-sdk/mcp",
  "mcporter",
  "@openai/agents-core",
  "@mastra/mcp",
  "@langchain/mcp-adapters"
]

const versionOf = (folder: string): string =>
  (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { readonly version: string }).version

/** Versions by name. Throws when the stacks would not meet the same copy of Effect, or not the same SDK and undici. */
export const versions = (): Readonly<Record<string, string>> => {
  const core = folderOf("@scoped-mcp/core", here)
  const node = folderOf("@scoped-mcp/node", here)
  if (new Set([folderOf("effect", here), folderOf("effect", core), folderOf("effect", node)]).size > 1) {
    throw new Error("there is more than one copy of effect: packages/bench must not install its own")
  }
  for (const [name, from] of [
    ["@modelcontextprotocol/client", core],
    ["undici", node]
  ] as const) {
    const [our, its] = [versionOf(folderOf(name, here)), versionOf(folderOf(name, from))]
    if (our !== its) throw new Error(`${name}: ours has ${its}, the stack beside it ${our}; make them equal`)
  }
  return Object.fromEntries(packages.map((name) => [name, versionOf(folderOf(name, here))]))
}

/** A path inside this package. */
export const inPackage = (path: string): string => join(here, path)
