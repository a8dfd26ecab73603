/**
 * The shapes in which configuration files list their servers: a map under `servers` or `mcpServers`, or a list of
 * entries with a `name`, under one of those keys or as the whole file.
 */
import type { Problem } from "./configProblem.ts"
import { isRecord } from "./frames.ts"

/** One server as it was written. In a list its name is inside. */
export interface RawServer {
  readonly path: ReadonlyArray<PropertyKey>
  readonly key: string | undefined
  readonly value: unknown
}

export interface Shape {
  readonly servers: ReadonlyArray<RawServer>
  /** Everything in the file beside its servers. */
  readonly pool: Readonly<Record<string, unknown>>
}

const limit = { values: 100_000, depth: 64 } as const

/** Says why a tree is unreasonable, if it is. A few lines of YAML aliases can stand for more values than fit in memory. */
export const excess = (root: unknown): string | undefined => {
  let values = 0
  const visit = (value: unknown, depth: number): string | undefined => {
    if (++values > limit.values) return `at most ${limit.values} values, aliases expanded`
    if (depth > limit.depth) return `at most ${limit.depth} levels`
    if (typeof value !== "object" || value === null) return undefined
    for (const child of Object.values(value)) {
      const found = visit(child, depth + 1)
      if (found !== undefined) return found
    }
    return undefined
  }
  return visit(root, 0)
}

const rawServers = (list: unknown, path: ReadonlyArray<PropertyKey>): ReadonlyArray<RawServer> | Problem =>
  Array.isArray(list)
    ? list.map((value, index) => ({ path: [...path, index], key: undefined, value }))
    : isRecord(list)
      ? Object.entries(list).map(([key, value]) => ({ path: [...path, key], key, value }))
      : { path, expected: "expected a map of servers by name, or a list of them" }

export const find = (root: unknown): Shape | Problem => {
  if (Array.isArray(root)) return { servers: rawServers(root, []) as ReadonlyArray<RawServer>, pool: {} }
  if (!isRecord(root)) return { path: [], expected: "expected a map with the key servers, or a list of servers" }
  const { mcpServers, servers, ...pool } = root
  if (servers !== undefined && mcpServers !== undefined) {
    return { path: ["mcpServers"], expected: "expected either servers or mcpServers, not both" }
  }
  const found = mcpServers === undefined ? rawServers(servers, ["servers"]) : rawServers(mcpServers, ["mcpServers"])
  return "expected" in found ? found : { servers: found, pool }
}
