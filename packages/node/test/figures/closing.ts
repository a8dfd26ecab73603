/** How long servers take to be closed, and what is left of them. */
import { McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Effect, Layer } from "effect"
import { worst } from "../host.ts"
import { alive, eventually, fixture, makeTag, timed } from "../system.ts"
import { millis, none } from "./Figure.ts"

/** A server's own `closeTimeout` is the default, 5 seconds. */
const limit = 5_000

const close = Effect.fnUntraced(function* (
  what: string,
  count: number,
  manners: ReadonlyArray<string>,
  limit: number,
  frozen = false
) {
  const tag = makeTag()
  const source = ServerConfig.stdio({
    command: process.execPath,
    args: [fixture("server.mjs"), ...manners],
    env: { TAG: tag },
    connectTimeout: "40 seconds"
  })
  const servers = Object.fromEntries(Array.from({ length: count }, (_, index) => [`server${index}`, source]))
  const helpers = manners.filter((manner) => manner.startsWith("helper:")).length
  const result = yield* Effect.gen(function* () {
    const pool = yield* McpPool.McpPool
    yield* pool.warmup()
    const before = yield* eventually(alive(tag), (seen) => seen.length >= count * (1 + helpers))
    if (frozen) for (const { pid } of before) process.kill(pid, "SIGSTOP")
    const { millis } = yield* timed(pool.close)
    return { before, millis }
  }).pipe(Effect.provide(Layer.provide(McpPool.layer({ servers }), Layer.fresh(McpNode.layer))))
  const left = yield* alive(tag, result.before)
  return [millis(`close of ${what}`, result.millis, limit), none(`left after the close of ${what}`, left.length)]
})

export const closing = Effect.map(
  Effect.all([
    close("a polite server", 1, [], 500),
    close("a server that ignores everything, its helpers too", 1, worst, limit),
    close("a server whose helper holds its pipes", 1, ["helper:pipes"], limit),
    close("a frozen server and its helpers", 1, worst, limit, true),
    close("20 polite servers together", 20, [], limit),
    close("12 servers that ignore everything, together", 12, worst, limit)
  ]),
  (figures) => figures.flat()
)
