/** Servers as their authors publish them, how each is started, and what becomes of what they hold. */
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert } from "@effect/vitest"
import { type McpConnection, ServerConfig, type ServerSource } from "@scoped-mcp/core"
import { Duration, Effect, type Scope } from "effect"
import { alive, makeTag, spawn } from "../system.ts"

const root = fileURLToPath(new URL("../../../..", import.meta.url))

const program = (path: string) => join(root, "node_modules", path)

export const programs = {
  everything: program("@modelcontextprotocol/server-everything/dist/index.js"),
  memory: program("@modelcontextprotocol/server-memory/dist/index.js"),
  sequentialThinking: program("@modelcontextprotocol/server-sequential-thinking/dist/index.js"),
  context7: program("@upstash/context7-mcp/dist/index.js"),
  notion: program("@notionhq/notion-mcp-server/bin/cli.mjs")
}

/** A server for the pool to use, and what shows afterwards that nothing of it is left. */
export interface Started {
  readonly source: ServerSource.Server
  readonly released: Effect.Effect<unknown>
}

export type Start = Effect.Effect<Started, unknown, McpConnection.Platform | Scope.Scope>

type Env = Readonly<Record<string, string>>

const gone = (tag: string) => Effect.map(alive(tag), (left) => assert.deepStrictEqual(left, []))

/** Started by the pool, which ends it. */
export const stdio = (
  path: string,
  args: ReadonlyArray<string>,
  env: Env = {},
  era: ServerConfig.Era = "auto"
): Started => {
  const tag = makeTag()
  return {
    source: ServerConfig.stdio({
      command: process.execPath,
      args: [path, ...args],
      env: { ...env, TAG: tag },
      era,
      connectTimeout: "20 seconds"
    }),
    released: gone(tag)
  }
}

/** As people write it into their configuration: a wrapper in front of the server. */
export const npx = (tag: string, ...args: ReadonlyArray<string>) =>
  ServerConfig.stdio({ command: "npx", args, cwd: root, env: { TAG: tag }, connectTimeout: "20 seconds" })

export const behindNpx = (...args: ReadonlyArray<string>): Started => {
  const tag = makeTag()
  return { source: npx(tag, ...args), released: gone(tag) }
}

/** An HTTP server in this process, for what a server of ours would otherwise ask the internet. */
export const listen = (answer: RequestListener): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(answer).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(Effect.map((server) => (server.address() as AddressInfo).port))

export const freePort = Effect.scoped(listen(() => {}))

/** Started beside the pool, and ended with the scope. */
export const running = Effect.fnUntraced(function* (
  path: string,
  args: ReadonlyArray<string>,
  env: Env,
  listening: string
) {
  const server = yield* spawn({
    command: process.execPath,
    args: [path, ...args],
    env,
    inheritEnv: "minimal",
    cwd: undefined,
    stopTimeout: Duration.seconds(2)
  })
  yield* server.heard(listening)
  return server
})

export const startEverything = (port: number, transport: "streamableHttp" | "sse" = "streamableHttp") =>
  running(programs.everything, [transport], { PORT: String(port) }, `on port ${port}`)
