import { assert, it } from "@effect/vitest"
import { Agent, ScriptedModel, ServerContext } from "@scoped-mcp/agent"
import { ScriptedServer } from "@scoped-mcp/testing"
import { Effect } from "effect"
import { Prompt } from "effect/ai"
import { agent } from "./support/agents.ts"

const library = ScriptedServer.make({
  name: "library",
  resources: [
    { uri: "book:1", name: "one", read: Effect.succeed("Call me Ishmael.") },
    {
      uri: "book:2",
      name: "two",
      read: Effect.succeed([{ uri: "book:2", mimeType: "image/png", blob: "aGk=" }])
    }
  ],
  prompts: [
    {
      name: "review",
      arguments: [{ name: "title", required: true }],
      get: ({ title }) =>
        Effect.succeed([
          { role: "user" as const, content: { type: "text" as const, text: `Review ${title}.` } },
          { role: "assistant" as const, content: { type: "text" as const, text: "Gladly." } }
        ])
    }
  ]
})

const model = ScriptedModel.make(["ok"])

it.effect("puts prompts and resources of servers before what an agent is asked", () =>
  Effect.gen(function* () {
    const review = yield* ServerContext.prompt({
      server: "library",
      prompt: "review",
      arguments: { title: "Moby-Dick" }
    })
    const text = yield* ServerContext.resource({ server: "library", uri: "book:1" })
    const image = yield* ServerContext.resource({ server: "library", uri: "book:2" })
    assert.deepStrictEqual(
      review.content.map(({ role }) => role),
      ["user", "assistant"]
    )
    yield* Agent.ask([review, text, image, Prompt.make("Go.")].reduce((all, one) => Prompt.concat(all, one)))
    const seen = JSON.stringify(model.requests()[0]?.prompt)
    for (const part of ["Review Moby-Dick.", "Gladly.", "[Resource book:1]\\nCall me Ishmael.", "image/png", "Go."]) {
      assert.include(seen, part)
    }
  }).pipe(Effect.provide(agent(model, { library })))
)

it.effect("cuts a resource at the limit, and fails with the pool's error where there is none", () =>
  Effect.gen(function* () {
    const short = yield* ServerContext.resource({ server: "library", uri: "book:1" }, { maxText: "20 B" })
    assert.include(JSON.stringify(short), "more characters were left out")
    const error = yield* Effect.flip(ServerContext.resource({ server: "attic", uri: "book:1" }))
    assert.strictEqual(error.reason._tag, "UnknownServer")
  }).pipe(Effect.provide(agent(model, { library })))
)
