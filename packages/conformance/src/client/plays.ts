/** What the client under test does in each scenario. All of it goes through the pool. */
import { type McpError, McpPool, Skills } from "@scoped-mcp/core"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Given, value } from "./Given.ts"

/** The name of the scenario's server in the pool. */
export const server = "suite"

const catalog = Effect.flatMap(McpPool.McpPool, (pool) => pool.catalogOf(server))

const call = (tool: string, args: Readonly<Record<string, unknown>> = {}) =>
  Effect.flatMap(McpPool.McpPool, (pool) => pool.callTool({ server, tool, arguments: args }))

const ToolCalls = Schema.Array(
  Schema.Struct({ name: Schema.String, arguments: Schema.Record(Schema.String, Schema.Unknown) })
)

/** Lists, and calls every tool that is offered. */
const callAll = Effect.gen(function* () {
  const { tools } = yield* catalog
  yield* Effect.forEach(tools, ({ name }) => call(name), { concurrency: "unbounded" })
})

/** Lists everything, and uses the first of each kind. */
const useAll = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const { prompts, resources, tools } = yield* catalog
  for (const { name } of tools.slice(0, 1)) yield* call(name)
  for (const { uri } of resources.slice(0, 1)) yield* pool.readResource({ server, uri })
  for (const { name } of prompts.slice(0, 1)) yield* pool.getPrompt({ server, prompt: name })
})

/** Calls a tool with the schema of another one as it was received. */
const echoSchema = Effect.gen(function* () {
  const { tools } = yield* catalog
  const { inputSchema } = yield* Effect.fromNullishOr(tools.find(({ name }) => name === "json_schema_2020_12_tool"))
  yield* call("json_schema_echo", { schema: inputSchema })
})

const callWithHeaders = Effect.gen(function* () {
  yield* catalog
  for (const { arguments: args, name } of yield* value("toolCalls", ToolCalls)) yield* call(name, args)
})

const callThoseThatAreValid = Effect.gen(function* () {
  const { tools } = yield* catalog
  for (const { name } of tools) yield* call(name, { region: "us-west1" })
})

const listSkills = Skills.list({ server })

/** Loads the first skill, then reads a file of it. */
const loadSkill = Effect.gen(function* () {
  const { skills } = yield* listSkills
  const skill = yield* Effect.fromNullishOr(skills[0])
  yield* Skills.load({ server, skill })
  yield* Skills.read({ server, skill, file: "references/FORMS.md" })
})

type Play = Effect.Effect<
  unknown,
  McpError.McpError | Schema.SchemaError | Cause.NoSuchElementError,
  McpPool.McpPool | Given
>

export const plays: Readonly<Record<string, Play>> = {
  initialize: catalog,
  tools_call: Effect.andThen(catalog, call("add_numbers", { a: 5, b: 3 })),
  "elicitation-sep1034-client-defaults": callAll,
  "sse-retry": callAll,
  "request-metadata": catalog,
  "sep-2322-client-request-state": callAll,
  "http-standard-headers": useAll,
  "http-custom-headers": callWithHeaders,
  "http-invalid-tool-headers": callThoseThatAreValid,
  "json-schema-ref-no-deref": catalog,
  "json-schema-2020-12-preservation": echoSchema,
  "sep-2640-client-no-prefetch": listSkills,
  "sep-2640-client-verify-digest": loadSkill,
  "sep-2640-client-verify-size": loadSkill,
  "sep-2640-client-verify-frontmatter": loadSkill
}

/** Those about authorisation all want the same of a client: that it lists the tools and calls one. */
export const authorised: Play = Effect.andThen(catalog, call("test-tool"))
