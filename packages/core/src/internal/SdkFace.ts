/** What a client of the SDK sees of a line over HTTP: each message that it sends is an exchange of its own. */
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import { type Frame, isRecord } from "./frames.ts"
import * as HttpExchange from "./HttpExchange.ts"
import { errorIn, type HttpFault } from "./HttpFault.ts"
import { envelopeVersion, type HttpSession } from "./HttpSession.ts"

export interface FaceOptions {
  readonly line: HttpExchange.HttpLine
  readonly url: URL
  readonly session: HttpSession
  readonly isClosed: () => boolean
  /** Hands on a message as JSON and answers which request it answers. */
  readonly deliver: (text: string) => unknown
  /** What to say of a fault; tells the line as well, if it concerns it. `reject` comes first. */
  readonly onFault: (fault: HttpFault, reject: (error: Error) => void) => void
  /** Whether the body of a refusal is of use. */
  readonly reads: (status: number) => boolean
  /** The server has taken the last message of the handshake. */
  readonly onInitialized: () => void
}

type Face = Omit<Transport, "close"> & { readonly abortAll: () => void }

export const make = (options: FaceOptions): Face => {
  const { line, session } = options
  const running = new Map<unknown, () => void>()

  const send: Transport["send"] = (message: JSONRPCMessage, sending) =>
    new Promise((resolve, reject) => {
      const frame = message as unknown as Frame
      const { id, method } = frame
      const asks = method !== undefined && id !== undefined
      if (options.isClosed()) return reject(new Error("the connection is closed"))
      const params = frame["params"]
      // The server is told, but its stream is ours to close.
      if (method === "notifications/cancelled" && isRecord(params)) running.get(params["requestId"])?.()

      let answered = false
      const signal = sending?.requestSignal
      const key = asks ? id : {}
      const leave = () => {
        running.delete(key)
        signal?.removeEventListener("abort", cancel)
      }
      let stop = () => {}
      const cancel = () => {
        leave()
        stop()
        reject(new Error("the request was given up"))
      }
      running.set(key, cancel)
      signal?.addEventListener("abort", cancel)
      if (signal?.aborted === true) return cancel()

      stop = HttpExchange.start(line, options.url, session.forPost(frame, sending?.headers), JSON.stringify(message), {
        onHanded: () => {},
        onAccepted: (header) => {
          if (method === "initialize") session.opened(header("mcp-session-id"))
          if (asks) return
          resolve()
          if (method === "notifications/initialized") options.onInitialized()
        },
        onText: (text) => {
          if (options.deliver(text) === id) answered = true
        },
        isSettled: () => !asks || answered,
        reads: options.reads,
        onDone: () => {
          leave()
          resolve()
          sending?.onRequestStreamEnd?.()
        },
        onFault: (fault) => {
          leave()
          // The refusals of 2026 are answers, which come with a status.
          const said = fault._tag === "Status" && envelopeVersion(frame) !== undefined ? errorIn(fault) : undefined
          if (fault._tag === "Status" && said?.["id"] === id && asks) {
            options.deliver(fault.body!)
            return resolve()
          }
          options.onFault(fault, reject)
          sending?.onRequestStreamEnd?.()
        }
      })
    })

  return {
    hasPerRequestStream: true,
    start: () => Promise.resolve(),
    send,
    setProtocolVersion: session.agree,
    abortAll: () => {
      for (const cancel of running.values()) cancel()
    }
  }
}
