/** What every server of the soak offers; the default export, so that it runs as a process as well. */
import * as ScriptedServer from "@scoped-mcp/testing/ScriptedServer"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const idempotencyId = ({ id }: Readonly<Record<string, unknown>>) => String(id)

/** The answer to a call, by which a caller knows it from that of another. */
export const answerTo = (id: string): string => `done ${id}`

const work = ScriptedServer.tool({
  name: "work",
  arguments: Schema.Struct({ id: Schema.String, millis: Schema.Finite, steps: Schema.Finite }),
  idempotencyId,
  handler: ({ id, millis, steps }, { progress }) =>
    Effect.gen(function* () {
      for (let step = 1; step <= steps; step++) {
        yield* Effect.sleep(millis / steps)
        yield* progress(step, steps)
      }
      return answerTo(id)
    })
})

const fail = ScriptedServer.tool({
  name: "fail",
  arguments: Schema.Struct({ id: Schema.String }),
  idempotencyId,
  handler: ({ id }) => Effect.fail(`no luck with ${id}`)
})

export const definition = (name: string, eras: ReadonlyArray<ScriptedServer.Era>): ScriptedServer.Definition =>
  ScriptedServer.make({ name, eras, tools: [work, fail] })

export default definition("soak", ["2025", "2026"])
