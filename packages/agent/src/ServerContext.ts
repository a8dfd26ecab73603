/**
 * Prompts and resources of servers as messages, for the history of an agent or for what it is asked.
 *
 * @example
 * ```ts
 * import { Agent, ServerContext } from "@scoped-mcp/agent"
 * import { Effect } from "effect"
 * import { Prompt } from "effect/ai"
 *
 * export const program = Effect.gen(function* () {
 *   const readme = yield* ServerContext.resource({ server: "files", uri: "file:///README.md" })
 *   return yield* Agent.ask(Prompt.concat(readme, "What does it say of limits?"))
 * })
 * ```
 *
 * @since 0.1.0
 */
import { type McpConnection, type McpError, McpPool } from "@scoped-mcp/core"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as ToolContent from "./ToolContent.ts"

type Content = Parameters<typeof ToolContent.convert>[0]["content"]

const convert = (content: Content, limits: ToolContent.Limits | undefined): ToolContent.Content =>
  ToolContent.convert({ content, structuredContent: undefined }, ToolContent.resolve(limits ?? {})).content

const message = (role: "user" | "assistant", content: ToolContent.Content): Prompt.Message =>
  role === "user" ? Prompt.userMessage({ content }) : Prompt.assistantMessage({ content })

/**
 * A prompt of a server, filled in.
 *
 * @since 0.1.0
 */
export const prompt = (
  get: McpPool.ForServer & McpConnection.GetPrompt,
  limits?: ToolContent.Limits
): Effect.Effect<Prompt.Prompt, McpError.McpError, McpPool.McpPool> =>
  Effect.map(
    Effect.flatMap(McpPool.McpPool, (pool) => pool.getPrompt(get)),
    ({ messages }) =>
      Prompt.fromMessages(messages.map(({ content, role }) => message(role, convert([content], limits))))
  )

/**
 * A resource of a server, as a message of the user. What is larger than the limits is cut, and says so.
 *
 * @since 0.1.0
 */
export const resource = (
  read: McpPool.ForServer & McpConnection.ReadResource,
  limits?: ToolContent.Limits
): Effect.Effect<Prompt.Prompt, McpError.McpError, McpPool.McpPool> =>
  Effect.map(
    Effect.flatMap(McpPool.McpPool, (pool) => pool.readResource(read)),
    ({ contents }) =>
      Prompt.fromMessages([
        message(
          "user",
          convert(
            contents.map((resource) => ({ type: "resource" as const, resource })),
            limits
          )
        )
      ])
  )
