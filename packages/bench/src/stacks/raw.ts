/** The floor: what a call costs without validation and without limits. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { type MakeStack, type Session, stackOf, type Target, textOf } from "../client/Stack.ts"

const handshake = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "bench", version: "1.0.0" }
}

type Resolve = (result: unknown) => void

const openStdio = async (target: Extract<Target, { kind: "stdio" }>): Promise<Session> => {
  const child = spawn(target.command, target.args, { stdio: ["pipe", "pipe", "ignore"] })
  const pending = new Map<number, Resolve>()
  let nextId = 0
  let out = ""
  let parts: Array<Buffer> = []

  const onLines = (text: string) => {
    let start = 0
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", start)) {
      const { id, result } = JSON.parse(text.slice(start, at)) as { id: number; result: unknown }
      const resolve = pending.get(id)
      pending.delete(id)
      resolve?.(result)
      start = at + 1
    }
  }

  child.stdout.on("data", (chunk: Buffer) => {
    const end = chunk.lastIndexOf(10) + 1
    if (end === 0) {
      parts.push(chunk)
      return
    }
    const whole = end === chunk.length ? chunk : chunk.subarray(0, end)
    if (parts.length === 0) onLines(whole.toString())
    else {
      parts.push(whole)
      const all = Buffer.concat(parts)
      parts = []
      onLines(all.toString())
    }
    if (end < chunk.length) parts.push(chunk.subarray(end))
  })

  const flush = () => {
    if (out !== "") child.stdin.write(out)
    out = ""
  }

  const write = (line: string) => {
    if (out === "") process.nextTick(flush)
    out += line
  }

  const request = (method: string, params: unknown): Promise<unknown> =>
    new Promise((resolve) => {
      const id = nextId++
      pending.set(id, resolve)
      write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`)
    })

  await request("initialize", handshake)
  write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
  return {
    call: async (name, args) => textOf(await request("tools/call", { name, arguments: args })),
    close: async () => {
      const exited = once(child, "exit")
      flush()
      child.stdin.end()
      await exited
    }
  }
}

const openHttp = async (target: Extract<Target, { kind: "http" }>): Promise<Session> => {
  const { Pool } = await import("undici")
  const url = new URL(target.url)
  const pool = new Pool(url.origin)
  const path = url.pathname
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream"
  }
  let nextId = 0

  const send = (message: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      let first: Buffer | undefined
      let parts: Array<Buffer> | undefined
      pool.dispatch(
        { path, method: "POST", headers, body: JSON.stringify(message) },
        {
          onRequestStart: () => {},
          onResponseStart: (_controller, _status, received) => {
            const session = received["mcp-session-id"]
            if (typeof session === "string") headers["mcp-session-id"] = session
          },
          onResponseData: (_controller, chunk) => {
            if (first === undefined) first = chunk
            else (parts ??= [first]).push(chunk)
          },
          onResponseEnd: () => {
            if (first === undefined) resolve(undefined)
            else resolve(JSON.parse((parts === undefined ? first : Buffer.concat(parts)).toString()).result)
          },
          onResponseError: (_controller, error) => reject(error)
        }
      )
    })

  await send({ jsonrpc: "2.0", id: nextId++, method: "initialize", params: handshake })
  await send({ jsonrpc: "2.0", method: "notifications/initialized" })
  return {
    call: async (name, args) =>
      textOf(await send({ jsonrpc: "2.0", id: nextId++, method: "tools/call", params: { name, arguments: args } })),
    close: () => pool.destroy()
  }
}

export const make: MakeStack = () =>
  stackOf((target) => (target.kind === "stdio" ? openStdio(target) : openHttp(target)))
