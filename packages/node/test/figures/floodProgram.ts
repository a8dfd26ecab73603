/**
 * One flood against one connection, in a process of its own, so that its memory can be told: `{ config, tool, size }` as
 * JSON, with the server's command or address.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { monitorEventLoopDelay } from "node:perf_hooks"
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

const program = Effect.gen(function* () {
  const connection = yield* McpConnection.make("flood", config)
  const echo = connection.callTool({ tool: "echo", arguments: { text: "x".repeat(10_000) } })
  for (let call = 0; call < 200; call++) yield* echo
  // The system's own high-water mark starts again here.
  writeFileSync("/proc/self/clear_refs", "5")
  const before = kibibytes("VmRSS")
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
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
  delay.disable()
  const memory = (kibibytes("VmHWM") - before) * 1024
  process.stdout.write(`${JSON.stringify({ outcome, usable, memory, blocked: delay.max / 1e6 })}\n`)
}).pipe(Effect.scoped, Effect.provide(McpNode.layer))

runMain(program)
