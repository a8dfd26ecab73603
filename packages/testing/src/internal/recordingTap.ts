/** Listens in on a connection where its frames leave the program and enter it. Nothing passes through changed. */
import type { FetchLike, JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import type { HttpDispatcher, ProcessOwner } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

type Direction = "ToServer" | "ToClient"

/** Told of every frame in the order of the wire. */
export type Tap = (direction: Direction, frame: Readonly<Record<string, unknown>>) => void

const Frame = Schema.fromJsonString(
  Schema.StructWithRest(Schema.Struct({ jsonrpc: Schema.Literal("2.0") }), [
    Schema.Record(Schema.String, Schema.Unknown)
  ])
)
const decodeFrame = Schema.decodeUnknownOption(Frame)

/** Whatever else a server prints is no traffic. */
const tellText = (tap: Tap, direction: Direction, text: string): void => {
  const frame = decodeFrame(text)
  if (Option.isSome(frame)) tap(direction, frame.value)
}

export const transport = (inner: Transport, tap: Tap): Transport => {
  const tell = (direction: Direction, message: JSONRPCMessage) => tap(direction, { ...message })
  const outer: Transport = {
    start: () => {
      inner.onmessage = (message, extra) => {
        tell("ToClient", message)
        outer.onmessage?.(message, extra)
      }
      inner.onerror = (error) => outer.onerror?.(error)
      inner.onclose = () => outer.onclose?.()
      return inner.start()
    },
    send: (message, options) => {
      tell("ToServer", message)
      return inner.send(message, options)
    },
    close: () => inner.close(),
    get hasPerRequestStream() {
      return inner.hasPerRequestStream ?? false
    },
    get sessionId() {
      return inner.sessionId
    },
    setProtocolVersion: (version) => inner.setProtocolVersion?.(version),
    setSupportedProtocolVersions: (versions) => inner.setSupportedProtocolVersions?.(versions)
  }
  return outer
}

const lineReader = (onLine: (line: string) => void) => {
  let rest = ""
  return (text: string) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) onLine(line)
  }
}

export const processOwner = (owner: ProcessOwner.ProcessOwner["Service"], tap: Tap): typeof owner => ({
  ...owner,
  spawn: (command, listener) =>
    Effect.suspend(() => {
      const decoder = new TextDecoder()
      const sent = lineReader((line) => tellText(tap, "ToServer", line))
      const received = lineReader((line) => tellText(tap, "ToClient", line))
      const onStdout = (chunk: Uint8Array) => {
        received(decoder.decode(chunk, { stream: true }))
        listener.onStdout(chunk)
      }
      return Effect.map(owner.spawn(command, { ...listener, onStdout }), (child) => ({
        ...child,
        write: (text: string) => {
          sent(text)
          return child.write(text)
        }
      }))
    })
})

/** Reads the body of a response, which is one message or a stream of events. */
const bodyReader = (tap: Tap, contentType: string) => {
  const decoder = new TextDecoder()
  if (contentType.startsWith("text/event-stream")) {
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event") tellText(tap, "ToClient", event.data)
    })
    return { push: (chunk: Uint8Array) => parser.feed(decoder.decode(chunk, { stream: true })), end: () => {} }
  }
  let text = ""
  return {
    push: (chunk: Uint8Array) => {
      text += decoder.decode(chunk, { stream: true })
    },
    end: () => tellText(tap, "ToClient", text)
  }
}

// A copy by `clone` would hold the stream open after the reader has gone.
const listenTo = (response: Response, tap: Tap): Response => {
  if (response.body === null) return response
  const reader = bodyReader(tap, response.headers.get("content-type") ?? "")
  const body = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        reader.push(chunk)
        controller.enqueue(chunk)
      },
      flush: () => reader.end()
    })
  )
  return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers })
}

export const httpDispatcher = (dispatcher: HttpDispatcher.HttpDispatcher["Service"], tap: Tap): typeof dispatcher => {
  const fetch: FetchLike = async (url, init) => {
    if (typeof init?.body === "string") tellText(tap, "ToServer", init.body)
    return listenTo(await dispatcher.fetch(url, init), tap)
  }
  return {
    fetch,
    dispatch: (request, listener) => {
      if (request.body !== undefined) tellText(tap, "ToServer", request.body)
      let reader: ReturnType<typeof bodyReader> | undefined
      return dispatcher.dispatch(request, {
        ...listener,
        onResponse: (status, header) => {
          reader = bodyReader(tap, header("content-type") ?? "")
          listener.onResponse(status, header)
        },
        onData: (chunk) => {
          reader?.push(chunk)
          listener.onData(chunk)
        },
        onEnd: () => {
          reader?.end()
          listener.onEnd()
        }
      })
    }
  }
}
