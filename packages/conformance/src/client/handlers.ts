/** What the client under test does for servers: it offers everything that a host can. */
import { HostHandlers } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export const handlers = Layer.mergeAll(
  // What is left out of a form is filled in from the defaults of the question.
  Layer.succeed(HostHandlers.Elicitation, { form: () => Effect.succeed({ action: "accept", content: {} }) }),
  Layer.succeed(HostHandlers.Sampling, {
    createMessage: () =>
      Effect.succeed({ role: "assistant", model: "none", content: { type: "text", text: "a fixed answer" } })
  }),
  Layer.succeed(HostHandlers.Roots, { list: () => Effect.succeed([]) })
)
