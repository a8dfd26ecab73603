/** A research agent over three servers, one of which dies on the first question it is asked: the turn goes on. */
import { Agent, OpenAiModel, type ToolPolicy } from "@scoped-mcp/agent"
import { McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { FaultyServer, Journal } from "@scoped-mcp/testing"
import { Console, Effect, Layer, Stream } from "effect"
import { FetchHttpClient } from "effect/http"

/** A real process; its journal tells its next incarnation that it has died before. */
const archive = Effect.map(Journal.temporary, ({ path }) =>
  FaultyServer.stdio({ module: new URL("./support/archive.ts", import.meta.url), journal: path }, [])
)

const Servers = Layer.unwrap(
  Effect.map(archive, (archive) =>
    McpPool.layer({
      servers: {
        archive,
        files: ServerConfig.stdio({ command: "npx", args: ["mcp-server-filesystem", "."] }),
        sql: ServerConfig.stdio({ command: "npx", args: ["scoped-mcp-sql"] })
      }
    })
  )
)

const policy: ToolPolicy.ToolPolicy = {
  allow: [{ readOnly: true }],
  budget: { turn: { calls: 20, time: "2 minutes", bytes: "1 MiB" } },
  audit: ({ attempts, outcome, server, tool }) =>
    Console.log(`${server}/${tool}: ${outcome}${attempts > 1 ? `, sent ${attempts} times` : ""}`)
}

const instructions = "You research questions in an archive, in files and in a database, and say where you found what."

const Researcher = Agent.layer({ name: "researcher", instructions, policy }).pipe(
  Layer.provide([OpenAiModel.layerConfig, Servers])
)

export const program = Agent.stream(
  "What does the archive say of whales, and which documents are in the folder docs?"
).pipe(
  Stream.runForEach((event) => (event._tag === "TurnEnded" ? Console.log(event.turn.text) : Effect.void)),
  Effect.provide(Researcher)
)

runMain(program.pipe(Effect.provide(Layer.mergeAll(McpNode.layer, FetchHttpClient.layer))))
