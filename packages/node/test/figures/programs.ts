/** Floods and cycles, each in a process of its own. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { ServerConfig } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Effect, Redacted } from "effect"
import { eventually, fixture } from "../system.ts"
import { http } from "./calls.ts"
import { mebibytes, millis, none } from "./Figure.ts"

const run = <A>(name: string, argument: object): Effect.Effect<A> =>
  Effect.promise(async (signal) => {
    const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url))
    const args = ["--conditions=@scoped-mcp/source", "--expose-gc", script, JSON.stringify(argument)]
    const { stdout } = await promisify(execFile)(process.execPath, args, { signal })
    return JSON.parse(stdout.trim().split("\n").at(-1)!) as A
  })

interface Flood {
  readonly outcome: string
  readonly usable: boolean
  readonly memory: number
  readonly blocked: number
}

const mebibyte = 1024 * 1024

const addressOf = (config: ServerConfig.Http) => Redacted.value(config.url)

const flood = Effect.fnUntraced(function* (
  what: string,
  outcome: string,
  argument: { readonly url?: string; readonly tool: string; readonly size?: number }
) {
  const seen = yield* run<Flood>("floodProgram", { args: [fixture("server.mjs")], size: 0, ...argument })
  return [
    mebibytes(`memory for ${what}`, seen.memory, 128),
    millis(`event loop blocked by ${what}`, seen.blocked, 250),
    none(`other outcome than ${outcome} of ${what}`, seen.outcome === outcome ? 0 : 1),
    none(`connection of no use after ${what}`, seen.usable ? 0 : 1)
  ]
})

export const floods = Effect.gen(function* () {
  const size = 64 * mebibyte
  const { config } = yield* http("json")
  const events = yield* http("sse")
  const figures = yield* Effect.all([
    flood("an answer of 64 MiB over stdio", "MessageTooLarge", { tool: "big", size }),
    flood("an answer without end over stdio", "MessageTooLarge", { tool: "endless" }),
    flood("100 MB of stderr", "answered", { tool: "stderr", size: 100_000_000 }),
    flood("an answer of 64 MiB over HTTP", "MessageTooLarge", { url: addressOf(config), tool: "big", size }),
    flood("an answer without end over HTTP", "MessageTooLarge", { url: addressOf(config), tool: "endless" }),
    flood("an event without end over HTTP", "MessageTooLarge", { url: addressOf(events.config), tool: "endless" })
  ])
  return figures.flat()
}).pipe(Effect.scoped, Effect.provide(McpNode.layer))

interface Held {
  readonly heap: number
  readonly handles: number
  readonly files: number
  readonly children: number
  readonly took: number
}

const growth = (what: string, held: Held) => [
  mebibytes(`heap held after ${what}`, Math.max(0, held.heap), 4),
  none(`handles held after ${what}`, Math.max(0, held.handles)),
  none(`processes held after ${what}`, Math.max(0, held.children)),
  none(`files held after ${what}, beyond 2`, Math.max(0, Math.abs(held.files) - 2))
]

export const cyclesOverStdio = Effect.map(run<Held>("cycleProgram", { count: 1_000 }), (held) =>
  growth(`1,000 cycles over stdio (${(held.took / 1_000).toFixed(1)} s)`, held)
)

export const cyclesOverHttp = Effect.gen(function* () {
  const { config, server } = yield* http("json")
  const held = yield* run<Held>("cycleProgram", { count: 3_000, url: addressOf(config) })
  const what = `3,000 cycles over HTTP (${(held.took / 1_000).toFixed(1)} s)`
  const open = () => {
    const said = server.stdout.join("")
    const count = (event: string) => said.split(`"${event}":`).length - 1
    return { sessions: count("opened") - count("deleted"), opened: count("opened") }
  }
  const { opened, sessions } = yield* eventually(Effect.sync(open), ({ opened }) => opened >= 3_000)
  return [...growth(what, held), none(`sessions open on the server of ${opened}`, sessions)]
}).pipe(Effect.scoped, Effect.provide(McpNode.layer))
