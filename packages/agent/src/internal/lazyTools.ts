/** The three tools that stand for a large catalog. Their names have no `__`, as all names of servers' tools do or a hash. */
import { ToolNames } from "@scoped-mcp/core"
import * as Duration from "effect/Duration"
import type { Call, Definition, Outcome } from "../McpToolkit.ts"
import * as ToolContent from "../ToolContent.ts"
import type { ToolFailure } from "../ToolFailure.ts"
import * as ToolSearch from "../ToolSearch.ts"
import type { ToolEntry } from "./ToolEntry.ts"

const searchName = "search_tools"
const describeName = "describe_tool"
const callName = "call_tool"

const defaultFound = 8
const maxFound = 25

/** Beyond this many, servers are counted and not listed. */
const maxServers = 30

const text = (description: string) => ({ type: "string", description })

const object = (properties: Readonly<Record<string, unknown>>, required: ReadonlyArray<string>) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false
})

const definitionsOf = (entries: ReadonlyArray<ToolEntry>): ReadonlyArray<Definition> => {
  const counts = new Map<string, number>()
  for (const { server } of entries) counts.set(server, (counts.get(server) ?? 0) + 1)
  const listed = [...counts].slice(0, maxServers).map(([server, count]) => `${server} (${count})`)
  const more = counts.size > maxServers ? ` and ${counts.size - maxServers} more servers` : ""
  return [
    {
      name: searchName,
      description: `Find tools by words; the best match comes first. There are ${entries.length} tools, of the servers ${listed.join(", ")}${more}.`,
      inputSchema: object(
        {
          query: text("What the tool should do, in a few words."),
          limit: { type: "integer", minimum: 1, maximum: maxFound, description: `Default ${defaultFound}.` }
        },
        ["query"]
      )
    },
    {
      name: describeName,
      description: `Show the whole description and the arguments of a tool that ${searchName} has found.`,
      inputSchema: object({ name: text("The name of the tool.") }, ["name"])
    },
    {
      name: callName,
      description: `Call a tool that ${searchName} has found. Read its arguments with ${describeName} first.`,
      inputSchema: object(
        { name: text("The name of the tool."), arguments: { type: "object", description: "Its arguments." } },
        ["name"]
      )
    }
  ]
}

/** What the model is told without any server being asked. */
interface Told {
  readonly answer: Outcome
}

const told = (value: unknown, limits: ToolContent.ResolvedLimits): Told => {
  const { bytes, content } = ToolContent.fromText(typeof value === "string" ? value : JSON.stringify(value), limits)
  return { answer: { outcome: "Answered", content, failure: undefined, bytes, took: Duration.zero } }
}

const failed = (error: string, message: string): Told => {
  const failure: ToolFailure = { error, message, mayHaveRun: false, tryAgain: "differently" }
  return { answer: { outcome: "InvalidArguments", content: [], failure, bytes: 0, took: Duration.zero } }
}

/** A name that nobody has, with those that are most like it. */
export const unknown = (name: string, known: ReadonlyArray<Definition>): Told => {
  const parts = ToolNames.decode(name)
  const search = ToolSearch.make(known.map((definition) => ({ ...definition, server: "", tool: definition.name })))
  const found = search(parts === undefined ? name : `${parts.server} ${parts.tool}`, 3).map(({ tool }) => tool.name)
  const hint = found.length === 0 ? "" : ` Did you mean ${found.join(" or ")}?`
  return failed("UnknownTool", `There is no tool "${name}".${hint}`)
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** `denied` are tools that can be named and not found. */
export const make = (
  entries: ReadonlyArray<ToolEntry>,
  denied: ReadonlyArray<ToolEntry>,
  limits: ToolContent.ResolvedLimits
) => {
  const definitions = definitionsOf(entries)
  const search = ToolSearch.make(entries)
  const byName = new Map(entries.map((entry) => [entry.name, entry]))
  const callable = new Set([...entries, ...denied].map(({ name }) => name))

  const read = (call: Call): Told | Pick<Call, "name" | "arguments"> => {
    // A model that has found a tool may well call it by its name; what it means is clear.
    if (callable.has(call.name)) return call
    if (!definitions.some(({ name }) => name === call.name)) return unknown(call.name, definitions)
    const args = isRecord(call.arguments) ? call.arguments : {}
    const named = args[call.name === searchName ? "query" : "name"]
    if (typeof named !== "string") {
      return failed(
        "InvalidArguments",
        `${call.name} needs ${call.name === searchName ? '"query"' : '"name"'}, a text.`
      )
    }
    if (call.name === searchName) {
      const { limit } = args
      const most = typeof limit === "number" && limit >= 1 ? Math.min(Math.floor(limit), maxFound) : defaultFound
      const found = search(named, most).map(({ tool: { description, name } }) => ({
        name,
        description: description.split("\n", 1)[0]?.slice(0, 200)
      }))
      return found.length === 0 ? told("Nothing found. Try other words.", limits) : told({ tools: found }, limits)
    }
    if (call.name === callName && callable.has(named)) return { name: named, arguments: args["arguments"] ?? {} }
    const entry = byName.get(named)
    if (entry === undefined) return unknown(named, entries)
    const { annotations, description, inputSchema, name, server } = entry
    return told({ name, server, description, arguments: inputSchema, annotations }, limits)
  }

  return { definitions, read }
}
