/** What the suite tells the client under test: the scenario, the address of its server, and values to use. */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const Values = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))

export class Given extends Context.Service<
  Given,
  {
    readonly scenario: string
    readonly url: string
    readonly protocolVersion: string
    /** Credentials and arguments, by the names that the scenario's description uses. */
    readonly values: Readonly<Record<string, unknown>>
  }
>()("@scoped-mcp/conformance/Given") {}

/** The suite appends the address to the command, and puts everything else into the environment. */
export const fromProcess = Effect.gen(function* () {
  const values = yield* Config.String("MCP_CONFORMANCE_CONTEXT").pipe(Config.withDefault("{}"))
  return {
    scenario: yield* Config.String("MCP_CONFORMANCE_SCENARIO"),
    url: process.argv.at(-1) ?? "",
    protocolVersion: yield* Config.String("MCP_CONFORMANCE_PROTOCOL_VERSION"),
    values: yield* Schema.decodeEffect(Values)(values)
  }
})

/** One of the values, decoded. */
export const value = <A>(name: string, schema: Schema.Codec<A, unknown>) =>
  Effect.flatMap(Given, ({ values }) => Schema.decodeUnknownEffect(schema)(values[name]))
