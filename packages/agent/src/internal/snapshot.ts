/** The tools of chosen servers at one moment, as entries; what is missing is named with its reason. */
import { type Catalog, type Limits, McpPool, ToolNames } from "@scoped-mcp/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ToolPolicy from "../ToolPolicy.ts"
import * as ToolEntry from "./ToolEntry.ts"

export type ServerCatalog = Catalog.ServerCatalog

export interface Skipped {
  readonly server: string
  /** Absent when the whole server is missing. */
  readonly tool?: string | undefined
  readonly why: string
}

export interface Snapshot {
  readonly entries: ReadonlyArray<ToolEntry.ToolEntry>
  /** What the policy hides; a model may call it all the same, by name. */
  readonly denied: ReadonlyArray<ToolEntry.ToolEntry>
  readonly skipped: ReadonlyArray<Skipped>
  /** Those that answered. */
  readonly servers: ReadonlyArray<string>
}

export interface Options {
  readonly servers: ReadonlyArray<string> | undefined
  readonly policy: ToolPolicy.ToolPolicy
  readonly openTimeout: Limits.Span | undefined
}

/** In order of name, so that equal snapshots are equal texts, which models' caches reward. */
const byName = (one: { readonly name: string }, other: { readonly name: string }) => (one.name < other.name ? -1 : 1)

const fromCatalogs = (catalogs: ReadonlyArray<ServerCatalog>, policy: ToolPolicy.ToolPolicy) => {
  const skipped: Array<Skipped> = []
  const all = catalogs.flatMap(({ server, tools }) =>
    tools.map((tool) => ({ tool, subject: ToolEntry.subjectOf(server, tool) }))
  )
  const offered = all.filter(({ subject }) => ToolPolicy.allows(policy, subject))
  const denied = all.filter(({ subject }) => !ToolPolicy.allows(policy, subject))
  const names = ToolNames.make(offered.map(({ subject }) => subject))
  for (const group of names.refused) {
    const both = group.map(({ server, tool }) => `"${tool}" of "${server}"`).join(" and ")
    for (const ref of group) skipped.push({ ...ref, why: `${both} come to the same name for a model` })
  }
  const entries = new Map<string, ToolEntry.ToolEntry>()
  for (const { subject, tool } of offered) {
    const name = names.toName(subject)
    if (name === undefined) continue
    const skip = (why: string) => skipped.push({ server: subject.server, tool: subject.tool, why })
    if (entries.has(name)) {
      skip("its server lists it twice; the first is used")
      continue
    }
    const entry = ToolEntry.make(name, subject, tool)
    if ("problem" in entry) skip(entry.problem)
    else entries.set(name, entry)
  }
  return {
    entries: [...entries.values()].sort(byName),
    denied: denied.map(({ subject }) => ToolEntry.hidden(ToolNames.encode(subject), subject)),
    skipped
  }
}

export const take = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Snapshot, never, McpPool.McpPool> {
  const pool = yield* McpPool.McpPool
  const chosen = options.servers ?? (yield* pool.statuses).map(({ server }) => server)
  const timeout = Duration.fromInputUnsafe(options.openTimeout ?? "10 seconds")
  const outcomes = yield* Effect.forEach(
    [...new Set(chosen)],
    (server) =>
      Effect.match(pool.catalogOf(server), {
        onSuccess: (catalog): ServerCatalog | Skipped => catalog,
        onFailure: (error): ServerCatalog | Skipped => ({ server, why: error.message })
      }).pipe(
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () =>
            Effect.succeed<Skipped>({ server, why: `its tools were not there within ${Duration.format(timeout)}` })
        })
      ),
    { concurrency: "unbounded" }
  )
  const catalogs = outcomes.filter((outcome): outcome is ServerCatalog => "tools" in outcome)
  const { denied, entries, skipped } = fromCatalogs(catalogs, options.policy)
  return {
    entries,
    denied,
    skipped: [...outcomes.filter((outcome): outcome is Skipped => !("tools" in outcome)), ...skipped],
    servers: catalogs.map(({ server }) => server)
  }
})
