/** Two ends of a line within this process. */
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import * as Schema from "effect/Schema"

/** The server object did not take its end: it serves somebody else, as a rule. */
export class NotTaken extends Schema.TaggedError<NotTaken>("@scoped-mcp/core/internal/NotTaken")("NotTaken", {
  detail: Schema.String
}) {
  override get message() {
    return `the server object cannot be connected: ${this.detail}`
  }
}

class End implements Transport {
  other: End | undefined
  #waiting: Array<JSONRPCMessage> = []
  #started = false
  #closed = false
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void

  start() {
    this.#started = true
    const waiting = this.#waiting
    this.#waiting = []
    for (const message of waiting) this.onmessage?.(message)
    return Promise.resolve()
  }

  send(message: JSONRPCMessage) {
    const { other } = this
    if (this.#closed || other === undefined) return Promise.reject(new Error("the line is closed"))
    // As text, so that neither side holds, or changes, what is the other's; and not in this turn, as on any other line.
    const text = JSON.stringify(message)
    queueMicrotask(() => other.#take(JSON.parse(text) as JSONRPCMessage))
    return Promise.resolve()
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#closed = true
    this.onclose?.()
    return this.other?.close() ?? Promise.resolve()
  }

  #take(message: JSONRPCMessage) {
    if (this.#closed) return
    if (this.#started) this.onmessage?.(message)
    else this.#waiting.push(message)
  }
}

export const make = (): readonly [client: Transport, server: Transport] => {
  const client = new End()
  const server = new End()
  client.other = server
  server.other = client
  return [client, server]
}
