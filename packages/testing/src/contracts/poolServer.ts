/**
 * The server that the pool's contract is about; the default export of a module, so that it runs as a process as well.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ScriptedServer from "../ScriptedServer.ts"

const add = ScriptedServer.tool({
  name: "add",
  arguments: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }),
  output: Schema.Struct({ sum: Schema.Finite }),
  handler: ({ a, b }) => Effect.succeed({ structuredContent: { sum: a + b } })
})

const count = ScriptedServer.tool({
  name: "count",
  arguments: Schema.Struct({ to: Schema.Finite }),
  handler: ({ to }, { progress }) =>
    Effect.as(
      Effect.forEach(
        Array.from({ length: to }, (_, index) => index + 1),
        (step) => progress(step, to),
        { discard: true }
      ),
      `counted to ${to}`
    )
})

const fail = ScriptedServer.tool({ name: "fail", handler: () => Effect.fail("there is no such book") })

const hang = ScriptedServer.tool({ name: "hang", handler: () => Effect.never })

/** @since 0.1.0 */
export default ScriptedServer.make({
  name: "contract",
  instructions: "Used by tests.",
  // Five tools on three pages.
  pageSize: 2,
  tools: [add, count, fail, hang, ScriptedServer.tool({ name: "empty", handler: () => Effect.succeed({}) })],
  resources: [{ uri: "test://page", name: "page", mimeType: "text/plain", read: Effect.succeed("written here") }],
  resourceTemplates: [{ uriTemplate: "test://pages/{number}", name: "pages" }],
  prompts: [
    {
      name: "greet",
      arguments: [{ name: "who", required: true }],
      get: ({ who }) => Effect.succeed(`Say hello to ${who}.`)
    }
  ],
  complete: ({ value }) => Effect.succeed(["Ada", "Alan", "Grace"].filter((name) => name.startsWith(value)))
})
