import { HostHandlers, McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { Effect, Layer, Stream } from "effect"

const everything = ServerConfig.stdio({
  command: "npx",
  args: ["mcp-server-everything", "stdio"],
  restart: { intensity: 5, period: "1 minute" },
  health: { check: "list", every: "10 seconds" }
})

// What servers may ask of this program: a person's word, here a yes to whatever the form suggests.
const Person = Layer.succeed(HostHandlers.Elicitation, {
  form: (request, from) => Effect.as(Effect.log(`${from.server} asks: ${request.message}`), { action: "accept" })
})

export const program = Effect.gen(function* () {
  const pool = yield* McpPool.McpPool
  const long = pool.callTool({
    server: "everything",
    tool: "trigger-long-running-operation",
    arguments: { duration: 60, steps: 60 },
    timeout: "3 seconds",
    // A plain function: it is called between two messages, and may not wait.
    onProgress: ({ progress, total }) => void process.stdout.write(`${progress} of ${total}\n`)
  })
  yield* long.pipe(Effect.catchReason("McpError", "CallTimeout", (reason) => Effect.log(reason.message)))
  yield* pool.callTool({ server: "everything", tool: "trigger-elicitation-request" })

  // Several requests on the same session; the subscription ends with the inner scope.
  const update = pool.use("everything", (connection) =>
    Effect.gen(function* () {
      yield* connection.subscribe("demo://resource/dynamic/text/1")
      yield* connection.callTool({ tool: "toggle-subscriber-updates" })
      const updates = Stream.filter(
        connection.notifications,
        ({ method }) => method === "notifications/resources/updated"
      )
      return yield* Stream.runHead(updates)
    }).pipe(Effect.scoped)
  )
  yield* Effect.log(yield* update)
})

const Servers = McpPool.layer({ servers: { everything } }).pipe(Layer.provide([Person, McpNode.layer]))

runMain(program.pipe(Effect.provide(Servers)))
