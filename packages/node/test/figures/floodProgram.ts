/**
 * One flood against one connection, in a process of its own, so that its memory can be told: `{ config, tool, size }` as
 * JSON, with the server's command or address.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { McpConnection, ServerConfig } from "@scoped-mcp/core"
import { McpNode, runMain } from "@scoped-mcp/node"
import { Effect } from "effect"

const { args, size, tool, url } = JSON.parse(process.argv[2]!) as {
  readonly args?: ReadonlyArray<string>
  readonly url?: string
  readonly tool: string
  readonly size: number
}
const config =
  url === undefined ? ServerConfig.stdio({ command: process.execPath, args: args ?? [] }) : ServerConfig.http({ url })

const kibibytes = (field: string) =>
  Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync("/proc/self/status", "utf8"))![1])

/**
 * The longest time that one turn of the event loop kept the processor. On a busy machine a turn lasts longer by the clock,
 * while others run; that is not ours.
 */
const watchTurns = Effect.acquireRelease(
  Effect.sync(() => {
    let wall = performance.now()
    let processor = process.threadCpuUsage()
    let longest = 0
    const timer = setInterval(() => {
      const used = process.threadCpuUsage(processor)
      longest = Math.max(longest, Math.min(performance.now() - wall, (used.user + used.system) / 1_000))
      wall = performance.now()
      processor = process.threadCpuUsage()
    }, 5)
    return { timer, longest: () => longest }
  }),
  ({ timer }) => Effect.sync(() => clearInterval(timer))
)

const program = Effect.gen(function* () {
  const connection = yield* McpConnection.make("flood", config)
  const echo = connection.callTool({ tool: "echo", arguments: { text: "x".repeat(10_000) } })
  for (let call = 0; call < 200; call++) yield* echo
  // The system's own high-water mark starts again here.
  writeFileSync("/proc/self/clear_refs", "5")
  const before = kibibytes("VmRSS")
  const turns = yield* watchTurns
  const outcome = yield* Effect.match(connection.callTool({ tool, arguments: { size }, timeout: "40 seconds" }), {
    onSuccess: () => "answered",
    onFailure: ({ reason }) => reason._tag
  })
  // The connection goes on, unless what it got had no end; then its next one does.
  const again = Effect.scoped(
    Effect.flatMap(McpConnection.make("again", config), (next) =>
      next.callTool({ tool: "echo", arguments: { text: "again" } })
    )
  )
  const usable = yield* Effect.isSuccess(Effect.catch(echo, () => again))
  const memory = (kibibytes("VmHWM") - before) * 1024
  process.stdout.write(`${JSON.stringify({ outcome, usable, memory, blocked: turns.longest() })}\n`)
}).pipe(Effect.scoped, Effect.provide(McpNode.layer))

runMain(program)
