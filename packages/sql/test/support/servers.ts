import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
/** Servers in processes of their own, and clients connected to them. */
import { Client, StreamableHTTPClientTransport, type Transport } from "@modelcontextprotocol/client"
import { getDefaultEnvironment, StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { Effect } from "effect"

export const main = fileURLToPath(new URL("../../src/internal/main.ts", import.meta.url))
export const bin = fileURLToPath(new URL("../../bin/scoped-mcp-sql.js", import.meta.url))

export type Era = "legacy" | "auto"

const connect = (transport: Transport, era: Era) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ name: "test", version: "0" }, { versionNegotiation: { mode: era } })
      await client.connect(transport)
      return client
    }),
    (client) => Effect.promise(() => client.close())
  )

/** A client of a server on stdio, and the pid of that server. */
export const stdio = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  options: { readonly era?: Era; readonly command?: string; readonly script?: string } = {}
) {
  const transport = new StdioClientTransport({
    command: options.command ?? process.execPath,
    args: [options.script ?? main, ...args],
    env: getDefaultEnvironment(),
    stderr: "ignore"
  })
  const client = yield* connect(transport, options.era ?? "auto")
  const pid = transport.pid ?? (yield* Effect.die(new Error("the server has no process")))
  return { client, pid }
})

/** A process that goes with the scope, if it has not ended before. */
export const run = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, args, { env: { ...getDefaultEnvironment(), ...env } })),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill("SIGKILL")
        await once(child, "exit")
      })
  )

/** All a process writes until it ends, and how it ended. */
export const outcome = (child: ChildProcess) =>
  Effect.promise(async () => {
    const out = { stdout: "", stderr: "" }
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (out.stdout += text))
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (out.stderr += text))
    const [code] = (await once(child, "close")) as [number | null]
    return { ...out, code }
  })

/** A server on a free port. */
export const http = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  options: { readonly command?: string; readonly script?: string } = {}
) {
  const server = yield* run(options.command ?? process.execPath, [options.script ?? main, "--http", "0", ...args])
  const origin = yield* Effect.promise(async () => {
    let log = ""
    for await (const chunk of server.stderr.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
      log += String(chunk)
      const listening = /Listening on (http:\S+)/.exec(log)
      if (listening !== null) return String(listening[1])
    }
    throw new Error(`the server did not listen: ${log}`)
  })
  server.stderr.resume()
  return { server, url: new URL("/mcp", origin), pid: Number(server.pid) }
})

export const httpClient = (url: URL, era: Era = "auto") => connect(new StreamableHTTPClientTransport(url), era)
