/**
 * Opens a pool for a program outside Effect 4.
 *
 * @since 0.1.0
 */
import { ConfigFile, McpPool } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { parse } from "./internal/configuration.ts"
import { OpenPool } from "./internal/OpenPool.ts"
import * as Signals from "./internal/signals.ts"
import type { Configuration, OpenOptions, Pool } from "./types.ts"

const load = (configuration: string | Configuration | undefined) =>
  typeof configuration === "object" ? parse(configuration) : ConfigFile.load(configuration)

/** Nothing of ours is printed. */
const loggers = (log: OpenOptions["log"]) =>
  Logger.layer(
    log === undefined
      ? []
      : [
          Logger.map(Logger.formatStructured, ({ annotations, level, message }) =>
            log({ level, message: Array.isArray(message) ? message.join(" ") : String(message), about: annotations })
          )
        ]
  )

const layerOf = (configuration: string | Configuration | undefined, log: OpenOptions["log"]) =>
  Layer.effect(McpPool.McpPool, Effect.flatMap(load(configuration), McpPool.make)).pipe(
    Layer.provideMerge(McpNode.layer),
    Layer.provideMerge(loggers(log))
  )

/**
 * A pool of the servers that a file (its path; by default `mcp.yaml` or `config/mcp_servers.yaml`) or an object describes. It starts no server until it is used or warmed up.
 * Close it with `close()`, or let `await using` do it; `using` kills what it has started at once. Rejected with
 * `ConfigError` when there is a mistake in the configuration.
 *
 * @example
 * ```ts
 * import { openPool } from "@scoped-mcp/handle"
 *
 * await using pool = await openPool({ servers: { files: { command: "npx", args: ["mcp-server-filesystem", "."] } } })
 * const result = await pool.callTool({ server: "files", tool: "list_directory", arguments: { path: "." } })
 * console.log(result.text)
 * ```
 *
 * @since 0.1.0
 */
export const openPool = async (
  configuration?: string | Configuration,
  { log, model, onForgotten, signals = "auto" }: OpenOptions = {}
): Promise<Pool> =>
  OpenPool.open(layerOf(configuration, log), {
    handlesSignals: signals === "on" || (signals === "auto" && !Signals.isTestRun()),
    model,
    onForgotten
  })
