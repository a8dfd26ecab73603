/** `scoped-mcp tools [SERVER]`: what the servers offer, asked all at once. */
import { type Catalog, type McpError, McpPool } from "@scoped-mcp/core"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CliFailure, from } from "../CliFailure.ts"
import { Screen } from "../terminal/Screen.ts"
import { table } from "../terminal/table.ts"
import { oneLine } from "../terminal/text.ts"
import { config, json, pool } from "./options.ts"

interface Listing {
  readonly servers: ReadonlyArray<Catalog.ServerCatalog>
  readonly failed: ReadonlyArray<McpError.McpError>
  readonly disabled: ReadonlyArray<{ readonly server: string; readonly why: string }>
}

const listAll = Effect.gen(function* () {
  const mcp = yield* McpPool.McpPool
  const { servers, unavailable } = yield* mcp.catalog
  const statuses = yield* mcp.statuses
  const disabled = statuses.filter(({ status }) => status === "Disabled")
  return {
    servers,
    failed: unavailable,
    disabled: disabled.map(({ detail, server }) => ({ server, why: detail ?? "no reason given" }))
  } satisfies Listing
})

const listOne = Effect.fnUntraced(function* (server: string) {
  const mcp = yield* McpPool.McpPool
  return { servers: [yield* mcp.catalogOf(server)], failed: [], disabled: [] } satisfies Listing
})

const toJson = ({ disabled, failed, servers }: Listing): string =>
  JSON.stringify(
    {
      servers: servers.map(({ server, tools }) => ({ server, tools })),
      failed: failed.map(({ message, reason, server }) => ({ server, reason: reason._tag, message })),
      disabled
    },
    undefined,
    2
  )

const show = Effect.fnUntraced(function* ({ disabled, failed, servers }: Listing) {
  const screen = yield* Screen
  const rows = servers.flatMap(({ server, tools }) =>
    tools.map((tool) => [server, tool.name, tool.description ?? tool.title ?? ""])
  )
  const lines = table(rows, {
    width: screen.columns("stdout"),
    paint: (cell, column) =>
      column === 0 ? screen.paint("quiet", cell) : column === 1 ? screen.paint("name", cell) : cell
  })
  for (const line of lines) yield* screen.print(line)
  for (const { server } of servers.filter(({ tools }) => tools.length === 0)) {
    yield* screen.note(`${screen.paint("quiet", "–", "stderr")} ${server}: offers no tools`)
  }
  for (const { server, why } of disabled) {
    yield* screen.note(`${screen.paint("warning", "–", "stderr")} ${server}: disabled, ${oneLine(why)}`)
  }
  for (const { message, server } of failed) {
    yield* screen.note(`${screen.paint("bad", "✗", "stderr")} ${server}: ${oneLine(message)}`)
  }
})

const list = Effect.fnUntraced(function* ({
  json,
  server
}: {
  readonly json: boolean
  readonly server: Option.Option<string>
}) {
  const screen = yield* Screen
  const listing = yield* Option.match(server, { onNone: () => listAll, onSome: listOne })
  yield* json ? screen.print(toJson(listing)) : show(listing)
  // Each has been named on a line of its own.
  if (listing.failed.length > 0) return yield* new CliFailure({ lines: [], exitCode: 1 })
})

export const tools = Command.make(
  "tools",
  {
    server: Argument.String("server").pipe(
      Argument.withDescription("Only the tools of this server"),
      Argument.optional
    ),
    config,
    json
  },
  (input) => list(input).pipe(Effect.provide(pool(input.config)), Effect.mapError(from))
).pipe(
  Command.withDescription(
    "List the tools of all servers. A server that fails or is disabled is named; the others still list."
  ),
  Command.withShortDescription("List tools"),
  Command.withExamples([
    { command: "scoped-mcp tools", description: "The tools of every server" },
    { command: "scoped-mcp tools database --json", description: "Those of one, with their schemas" }
  ])
)
