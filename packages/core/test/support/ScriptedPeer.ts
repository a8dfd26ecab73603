/** An MCP server in memory whose behaviour is data. It keeps a journal of every session, so that a test asks the server
 * itself what it was told, how often a tool ran, and what is still open. */
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { type Limits, ServerSource } from "@scoped-mcp/core"
import { Effect } from "effect"

export type Frame = Readonly<Record<string, unknown>> & {
  readonly id?: number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
}

/** One `tools/call` as the tool sees it. A tool that does nothing hangs. */
export interface ToolCall {
  readonly id: number
  readonly arguments: Readonly<Record<string, unknown>>
  readonly session: Session
  readonly reply: (result: unknown) => void
  readonly text: (text: string) => void
  readonly refuse: (code: number, message: string, data?: unknown) => void
  readonly progress: (progress: number, total?: number) => void
}

export type Tool = (call: ToolCall) => void

export const tools = {
  echo: (call: ToolCall) => call.text(JSON.stringify(call.arguments)),
  hang: () => {},
  die: (call: ToolCall) => call.session.drop(),
  fail: (call: ToolCall) => call.reply({ isError: true, content: [{ type: "text", text: "no such table" }] })
} satisfies Record<string, Tool>

export interface Script {
  readonly tools?: Readonly<Record<string, Tool>>
  readonly capabilities?: Readonly<Record<string, unknown>>
  /** Results of methods other than `initialize`, `tools/list` and `tools/call`. */
  readonly methods?: Readonly<Record<string, (params: Readonly<Record<string, unknown>>) => unknown>>
  /** What `initialize` meets, by the number of the session counted from 0. Default `answer`. */
  readonly handshake?: (session: number) => "answer" | "ignore" | "drop"
  /** Speaks the 2026 era, and refuses `initialize`; each result says its kind by itself. */
  readonly modern?: boolean
  /** What becomes of a subscription; false: it is not acknowledged. */
  readonly listen?: (session: Session, id: number, params: Readonly<Record<string, unknown>>) => boolean | void
  /** The transport's `close` waits for it. */
  readonly closing?: () => Promise<void>
}

/** One connection, as the server sees it. */
export class Session implements Transport {
  readonly received: Array<Frame> = []
  readonly peer: ScriptedPeer
  readonly number: number
  state: "New" | "Open" | "Closed" | "Dropped" = "New"
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void

  constructor(peer: ScriptedPeer, number: number) {
    this.peer = peer
    this.number = number
  }

  start() {
    this.state = "Open"
    return Promise.resolve()
  }

  send(message: JSONRPCMessage) {
    if (this.state !== "Open") return Promise.reject(new Error("not connected"))
    const frame = message as unknown as Frame
    this.received.push(frame)
    // As over a real wire, nothing is answered before `send` has returned.
    queueMicrotask(() => {
      if (this.state === "Open") this.peer.answer(this, frame)
      this.peer.changed()
    })
    return Promise.resolve()
  }

  async close() {
    await this.peer.script.closing?.()
    if (this.state !== "Dropped") this.state = "Closed"
    this.peer.changed()
  }

  /** Sends anything at all. */
  raw(message: unknown) {
    if (this.state === "Open") this.onmessage?.(message as JSONRPCMessage)
  }

  notify(method: string, params: Readonly<Record<string, unknown>> = {}) {
    this.raw({ jsonrpc: "2.0", method, params })
  }

  /** The connection breaks. */
  drop() {
    if (this.state === "Closed" || this.state === "Dropped") return
    this.state = "Dropped"
    this.onclose?.()
    this.peer.changed()
  }

  sent(method: string): ReadonlyArray<Frame> {
    return this.received.filter((frame) => frame.method === method)
  }
}

export class ScriptedPeer {
  readonly sessions: Array<Session> = []
  /** How often each tool ran. */
  readonly executions: Record<string, number> = {}
  script: Script
  #watchers = new Set<() => void>()

  constructor(script: Script = {}) {
    this.script = { tools, ...script }
  }

  get last(): Session {
    return this.sessions.at(-1)!
  }

  get open(): ReadonlyArray<Session> {
    return this.sessions.filter((session) => session.state === "Open")
  }

  get handshakes(): number {
    return this.sessions.filter((session) => session.sent("initialize").length > 0).length
  }

  sent(method: string): ReadonlyArray<Frame> {
    return this.sessions.flatMap((session) => session.sent(method))
  }

  ran(tool: string): number {
    return this.executions[tool] ?? 0
  }

  source(limits: Limits.ServerLimits = {}, identity = "memory"): ServerSource.FromTransport {
    const make = Effect.sync(() => {
      const session = new Session(this, this.sessions.length)
      this.sessions.push(session)
      return session
    })
    return ServerSource.fromTransport(identity, make, limits)
  }

  /** Waits until the journal shows it. */
  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const check = () => {
        if (!condition()) return false
        this.#watchers.delete(check)
        resume(Effect.void)
        return true
      }
      if (check()) return
      this.#watchers.add(check)
      return Effect.sync(() => this.#watchers.delete(check))
    })
  }

  changed() {
    for (const check of this.#watchers) check()
  }

  answer(session: Session, frame: Frame) {
    const { id, method = "", params = {} } = frame
    if (id === undefined) return
    const kinded = (result: unknown) =>
      this.script.modern === true ? { resultType: "complete", ...(result as object) } : result
    const reply = (result: unknown) => session.raw({ jsonrpc: "2.0", id, result: kinded(result) })
    const refuse = (code: number, message: string, data?: unknown) =>
      session.raw({ jsonrpc: "2.0", id, error: { code, message, ...(data === undefined ? {} : { data }) } })
    switch (method) {
      case "initialize": {
        const handshake = this.script.handshake?.(session.number) ?? "answer"
        if (handshake === "drop") session.drop()
        if (handshake !== "answer") return
        if (this.script.modern === true) {
          return refuse(-32022, "unsupported protocol version", { supported: ["2026-07-28"] })
        }
        return reply({
          protocolVersion: params["protocolVersion"],
          capabilities: this.script.capabilities ?? { tools: { listChanged: true } },
          serverInfo: { name: "scripted", version: "1.0.0" },
          instructions: "be kind"
        })
      }
      case "server/discover":
        if (this.script.modern !== true) return refuse(-32601, "Method not found")
        return reply({
          supportedVersions: ["2026-07-28"],
          capabilities: this.script.capabilities ?? { tools: {} },
          instructions: "be kind",
          _meta: { "io.modelcontextprotocol/serverInfo": { name: "scripted", version: "2.0.0" } }
        })
      case "subscriptions/listen": {
        if (this.script.modern !== true) return refuse(-32601, "Method not found")
        const acknowledged = this.script.listen?.(session, id, params)
        if (acknowledged === false) return
        return session.notify("notifications/subscriptions/acknowledged", {
          notifications: params["notifications"],
          _meta: { "io.modelcontextprotocol/subscriptionId": id }
        })
      }
      case "tools/list":
        if (this.script.methods?.[method] !== undefined) return reply(this.script.methods[method](params))
        return reply({
          tools: Object.keys(this.script.tools!).map((name) => ({ name, inputSchema: { type: "object" } }))
        })
      case "tools/call": {
        const name = String(params["name"])
        const tool = this.script.tools![name]
        if (tool === undefined) return refuse(-32602, `Unknown tool: ${name}`)
        this.executions[name] = this.ran(name) + 1
        return tool({
          id,
          arguments: params["arguments"] as Readonly<Record<string, unknown>>,
          session,
          reply,
          text: (text) => reply({ content: [{ type: "text", text }] }),
          refuse,
          progress: (progress, total) =>
            session.notify("notifications/progress", {
              progressToken: id,
              progress,
              ...(total === undefined ? {} : { total })
            })
        })
      }
      default: {
        const run = this.script.methods?.[method]
        return run === undefined ? refuse(-32601, "Method not found") : reply(run(params))
      }
    }
  }
}
