/** `scoped-mcp call SERVER TOOL ['JSON']`: one call, its answer on stdout. */
import { type CallEngine, McpPool, type ToolResult } from "@scoped-mcp/core"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { from, usage } from "../CliFailure.ts"
import { progressBar } from "../terminal/progressBar.ts"
import { Screen } from "../terminal/Screen.ts"
import { harmless, oneLine } from "../terminal/text.ts"
import { config, json, pool } from "./options.ts"

const Arguments = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))

const decodeArguments = (text: string) =>
  Effect.mapError(Schema.decodeEffect(Arguments)(text), () =>
    usage(`the arguments are no JSON object; write them like '{"path":"."}', in single quotes`)
  )

type Block = ToolResult.ToolResult["content"][number]

/** Text as it is; of everything else, what and how much it is. */
const readable = (block: Block): string => {
  switch (block.type) {
    case "text":
      return block.text
    case "image":
    case "audio":
      return `[${block.type}, ${block.mimeType}, ${block.data.length} characters of base64; --json prints it]`
    case "resource_link":
      return `[resource ${block.uri}]`
    case "resource":
      return "text" in block.resource ? block.resource.text : `[resource ${block.resource.uri}; --json prints it]`
  }
}

const answer = ({ content, structuredContent }: ToolResult.ToolResult): string =>
  content.length === 0 && structuredContent !== undefined
    ? JSON.stringify(structuredContent, undefined, 2)
    : content.map(readable).join("\n")

interface Input {
  readonly server: string
  readonly tool: string
  readonly text: string
  readonly json: boolean
}

const run = Effect.fnUntraced(function* ({ json, server, text, tool }: Input) {
  const args = yield* decodeArguments(text)
  const screen = yield* Screen
  const mcp = yield* McpPool.McpPool
  const onProgress = (progress: CallEngine.Progress) => {
    const message = progress.message === undefined ? "" : ` ${oneLine(progress.message)}`
    screen.live(`${progressBar(progress, 24)}${message}`, "stderr")
  }
  const called = mcp.callTool({ server, tool, arguments: args, onProgress })
  const result = yield* json
    ? Effect.tapError(called, ({ reason }) =>
        reason._tag === "ToolError" ? screen.print(JSON.stringify(reason.result, undefined, 2)) : Effect.void
      )
    : called
  const shown = json ? JSON.stringify(result.raw, undefined, 2) : answer(result)
  // A program that reads us gets every byte; a terminal gets nothing that could take it over.
  yield* screen.print(Number.isFinite(screen.columns("stdout")) ? harmless(shown) : shown)
})

export const call = Command.make(
  "call",
  {
    server: Argument.String("server").pipe(Argument.withDescription("Its name in the configuration")),
    tool: Argument.String("tool").pipe(Argument.withDescription("The tool to call")),
    text: Argument.String("json").pipe(
      Argument.withDescription("The arguments as a JSON object"),
      Argument.withDefault("{}")
    ),
    config,
    json
  },
  (input) => run(input).pipe(Effect.provide(pool(input.config)), Effect.mapError(from))
).pipe(
  Command.withDescription("Call a tool and print its answer. Ctrl-C cancels the call on the server."),
  Command.withShortDescription("Call a tool"),
  Command.withExamples([
    { command: "scoped-mcp call database list_tables", description: "A tool without arguments" },
    {
      command: `scoped-mcp call database execute_query '{"sql":"SELECT name FROM products LIMIT 3"}' --json`,
      description: "The whole result, structured content included"
    }
  ])
)
