/** The way back to one client over HTTP: each answer on its own response, everything else on the GET stream. */
import type { ServerResponse } from "node:http"
import * as Effect from "effect/Effect"
import type { Http } from "../Fault.ts"
import type { HttpOptions } from "../ScriptedServer.ts"
import type { RequestId } from "./frames.ts"
import * as ServerState from "./ServerState.ts"
import type { Line } from "./Session.ts"

export interface HttpLine extends Line {
  /** The response that answers this request. */
  readonly tie: (id: RequestId, method: string, res: ServerResponse, headers: Record<string, string>) => void
  /** The response of a GET, for what answers nothing. */
  readonly stream: (res: ServerResponse) => void
}

interface Exchange {
  readonly method: string
  readonly res: ServerResponse
  readonly headers: Record<string, string>
  form: "json" | "sse" | "auto"
  /** A text has begun that has not ended. */
  open: boolean
}

const events = { "content-type": "text/event-stream", "cache-control": "no-cache" }

export const make = (
  faults: ReadonlyArray<Http>,
  answers: NonNullable<HttpOptions["answers"]>,
  cut: Effect.Effect<void>
): HttpLine => {
  const exchanges = new Map<RequestId, Exchange>()
  const backlog: Array<string> = []
  const split = ServerState.find(faults, "SplitFrames")
  const endless = ServerState.find(faults, "EndlessStreams")
  const spoilt = (["CutStreams", "ResetStreams", "EndlessStreams"] as const).find(
    (tag) => ServerState.find(faults, tag) !== undefined
  )
  let get: ServerResponse | undefined

  /** Resolves when the socket takes more, or is gone. */
  const write = (res: ServerResponse, text: string): Effect.Effect<void> => {
    const bytes = new TextEncoder().encode(text)
    const size = split?.bytes ?? bytes.length
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size)
    )
    return Effect.forEach(
      pieces,
      (piece) =>
        Effect.callback<void>((resume) => {
          if (res.destroyed || res.writableEnded) return resume(Effect.void)
          const done = () => resume(Effect.void)
          res.once("close", done)
          res.write(piece, () => {
            res.off("close", done)
            done()
          })
        }),
      { discard: true }
    )
  }

  const begin = (exchange: Exchange, form: "json" | "sse") => {
    exchange.form = form
    if (exchange.res.headersSent || exchange.res.destroyed) return
    exchange.res.writeHead(200, {
      ...exchange.headers,
      ...(form === "sse" ? events : { "content-type": "application/json" })
    })
    exchange.res.flushHeaders()
  }

  const finish = (id: RequestId, exchange: Exchange) =>
    Effect.sync(() => {
      exchanges.delete(id)
      exchange.res.end()
    })

  const sendUnasked = (text: string): Effect.Effect<void> => {
    const event = `data: ${text}\n\n`
    if (get !== undefined && !get.destroyed) return write(get, event)
    return Effect.sync(() => void backlog.push(event))
  }

  /** What becomes of the answer to a call on a stream that is spoilt. */
  const spoil = (tag: NonNullable<typeof spoilt>, id: RequestId, exchange: Exchange): Effect.Effect<void> => {
    begin(exchange, "sse")
    const comment = write(exchange.res, ": still here\n\n")
    switch (tag) {
      case "CutStreams":
        return Effect.andThen(comment, finish(id, exchange))
      case "ResetStreams":
        return Effect.andThen(
          comment,
          Effect.sync(() => exchange.res.socket?.resetAndDestroy())
        )
      case "EndlessStreams":
        return Effect.whileLoop({
          while: () => !exchange.res.destroyed,
          body: () => Effect.andThen(comment, Effect.sleep(endless?.heartbeat ?? 0)),
          step: () => {}
        })
    }
  }

  return {
    tie: (id, method, res, headers) => {
      const exchange: Exchange = { method, res, headers, form: answers, open: false }
      exchanges.set(id, exchange)
      if (answers === "sse") begin(exchange, "sse")
    },
    stream: (res) => {
      get = res
      res.writeHead(200, events)
      res.flushHeaders()
      for (const event of backlog.splice(0)) res.write(event)
    },
    send: (frame, related) =>
      Effect.suspend(() => {
        const exchange = related === undefined ? undefined : exchanges.get(related)
        const text = JSON.stringify(frame)
        if (exchange === undefined || related === undefined) return sendUnasked(text)
        const isAnswer = frame["method"] === undefined && frame["id"] === related
        if (isAnswer && spoilt !== undefined && exchange.method === "tools/call")
          return spoil(spoilt, related, exchange)
        if (!isAnswer && exchange.form === "json") return sendUnasked(text)
        const form = exchange.form === "auto" ? (isAnswer ? "json" : "sse") : exchange.form
        begin(exchange, form)
        const sent = write(exchange.res, form === "json" ? text : `data: ${text}\n\n`)
        return isAnswer ? Effect.andThen(sent, finish(related, exchange)) : sent
      }),
    sendText: (text, related, end) =>
      Effect.suspend(() => {
        const exchange = related === undefined ? undefined : exchanges.get(related)
        if (exchange === undefined || related === undefined) return sendUnasked(text)
        if (exchange.res.destroyed) return Effect.never
        begin(exchange, exchange.form === "json" ? "json" : "sse")
        const start = exchange.form === "json" || exchange.open ? "" : "data: "
        exchange.open = !end
        const sent = write(exchange.res, `${start}${text}${end && exchange.form === "sse" ? "\n\n" : ""}`)
        // A script's text may be the answer or may not; a whole one ends a JSON document, and a stream goes on.
        return end && exchange.form === "json" ? Effect.andThen(sent, finish(related, exchange)) : sent
      }),
    cut: () => cut
  }
}
