/** A small MCP server over HTTP in this process, whose answers a row writes by hand. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { Effect } from "effect"

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Of a POST. */
  readonly id: unknown
  readonly params: Readonly<Record<string, unknown>>
  readonly body: string
}

type Handler = (exchange: Exchange) => void

/** By path where it is not that of the endpoint, else by JSON-RPC method, else by HTTP method. */
export type Handlers = Readonly<Partial<Record<string, Handler>>>

export const status =
  (code: number, headers: Readonly<Record<string, string>> = {}): Handler =>
  ({ response }) =>
    void response.writeHead(code, headers).end()

const frame = (id: unknown, result: unknown) => JSON.stringify({ jsonrpc: "2.0", id, result })

export const answer = ({ id, response }: Exchange, result: unknown, headers: Readonly<Record<string, string>> = {}) =>
  void response.writeHead(200, { "content-type": "application/json", ...headers }).end(frame(id, result))

export const say = (content: string) => ({ content: [{ type: "text", text: content }] })

/** Begins a stream of events with this text. */
export const stream = ({ response }: Exchange, begin: string) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  response.write(begin)
  return response
}

/** An event that nobody has asked for. */
export const notice = (method: string) => `data: ${JSON.stringify({ jsonrpc: "2.0", method })}\n\n`

/** The event that answers the request. */
export const event = ({ id }: Exchange, result: unknown) => `data: ${frame(id, result)}\n\n`

const endpoint = "/mcp"

const usual: Handlers = {
  GET: status(405),
  DELETE: status(200),
  initialize: (exchange) =>
    answer(
      exchange,
      {
        protocolVersion: exchange.params["protocolVersion"],
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: "defects", version: "1.0.0" }
      },
      { "mcp-session-id": "session" }
    ),
  "tools/list": (exchange) => answer(exchange, { tools: [] }),
  "tools/call": (exchange) => answer(exchange, say("done"))
}

/** Serves until the scope closes; what has been asked for is counted by the names of the handlers. */
export const serve = Effect.fnUntraced(function* (handlers: Handlers) {
  const seen: Array<string> = []
  const all: Handlers = { ...usual, ...handlers }
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const path = (request.url ?? "").split("?")[0]!
    const body = await text(request)
    const message = path === endpoint && request.method === "POST" ? JSON.parse(body) : {}
    const name: string = path === endpoint ? (message.method ?? request.method) : path
    seen.push(name)
    const unknown = path === endpoint ? (message.id === undefined ? 202 : 400) : 404
    const handler = all[name] ?? status(unknown)
    handler({ request, response, id: message.id, params: message.params ?? {}, body })
  }
  const server = createServer((request, response) => void handle(request, response))
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  const { port } = server.address() as AddressInfo
  return {
    server: { _tag: "Http", url: new URL(`http://127.0.0.1:${port}${endpoint}`) } as const,
    seen: (name: string) => seen.filter((one) => one === name).length
  }
})
