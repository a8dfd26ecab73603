/** A server that takes its time, reports progress, and is careless with its credentials. */
import * as ScriptedServer from "@scoped-mcp/testing/ScriptedServer"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const searchIn = (pause: Duration.Duration) =>
  ScriptedServer.tool({
    name: "search",
    arguments: Schema.Struct({ query: Schema.String, card: Schema.String }),
    handler: ({ query }, { notify, progress }) =>
      Effect.gen(function* () {
        yield* Effect.sleep(pause)
        yield* progress(1, 2, `looking for ${query}`)
        yield* Effect.sleep(pause)
        yield* progress(2, 2, `still looking for ${query}`)
        yield* notify("notifications/message", { level: "info", data: "found" })
        return `found ${query} with Bearer sk-of-the-server`
      })
  })

export const quick = ScriptedServer.make({ name: "library", tools: [searchIn(Duration.zero)] })

export default ScriptedServer.make({ name: "library", tools: [searchIn(Duration.seconds(1))] })
