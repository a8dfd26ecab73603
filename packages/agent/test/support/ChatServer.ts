/** A server that speaks Chat Completions on a loopback port, as real ones do, and keeps what it was asked. */
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

export interface Asked {
  readonly headers: IncomingHttpHeaders
  readonly path: string
  readonly body: Record<string, unknown>
}

/** Events of a stream are sent as they are; `cut` ends the connection in the midst of it. */
export type Reply =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly json: unknown }
  | { readonly events: ReadonlyArray<unknown>; readonly ending?: "done" | "cut" | "silence" }
  | "hang"

const write = (res: ServerResponse, reply: Reply) => {
  if (reply === "hang") return
  if ("json" in reply) {
    res.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers })
    res.end(typeof reply.json === "string" ? reply.json : JSON.stringify(reply.json))
    return
  }
  res.writeHead(200, { "content-type": "text/event-stream" })
  res.write(": comment\n\n")
  for (const event of reply.events) res.write(`data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`)
  const { ending = "done" } = reply
  if (ending === "done") res.end("data: [DONE]\n\n")
  else if (ending === "cut") setImmediate(() => res.destroy())
}

export const make = Effect.fnUntraced(function* (answer: (asked: Asked, count: number) => Reply) {
  const asked: Array<Asked> = []
  const gone: Array<() => void> = []
  const server = createServer((req, res) => {
    const chunks: Array<Buffer> = []
    res.on("close", () => {
      for (const tell of gone.splice(0)) tell()
    })
    req.on("data", (chunk: Buffer) => chunks.push(chunk))
    req.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Record<string, unknown>
      const request = { headers: req.headers, path: req.url ?? "", body }
      asked.push(request)
      write(res, answer(request, asked.length))
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => once(server.listen(0, "127.0.0.1"), "listening")),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return once(server.close(), "close")
      })
  )
  const { port } = server.address() as AddressInfo
  return {
    baseUrl: `http://127.0.0.1:${port}/v1/`,
    asked,
    /** Waits until a client has left. */
    clientGone: Effect.callback<void>((resume) => {
      gone.push(() => resume(Effect.void))
    })
  }
})

export const message = (fields: Record<string, unknown>, finish = "stop") => ({
  json: {
    id: "chatcmpl-1",
    model: "test",
    choices: [{ index: 0, message: { role: "assistant", ...fields }, finish_reason: finish }],
    usage: { prompt_tokens: 12, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } }
  }
})

export const delta = (fields: Record<string, unknown>, finish: string | null = null) => ({
  id: "chatcmpl-1",
  choices: [{ index: 0, delta: fields, finish_reason: finish }]
})
