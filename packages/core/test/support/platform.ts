import { HttpDispatcher, ProcessOwner } from "@scoped-mcp/core"
/** The platform's services under the control of a test. */
import { Effect, Layer } from "effect"

/** A process that does what the test says, and remembers what it was told. */
export class FakeProcess {
  readonly command: ProcessOwner.ProcessCommand
  readonly listener: ProcessOwner.ProcessListener
  readonly written: Array<Record<string, unknown>> = []
  /** What the next `write` answers. */
  full = false
  stops = 0
  exited = false
  onWrite: ((frame: Record<string, unknown>) => void) | undefined

  constructor(command: ProcessOwner.ProcessCommand, listener: ProcessOwner.ProcessListener) {
    this.command = command
    this.listener = listener
  }

  stdout(text: string | Uint8Array) {
    this.listener.onStdout(typeof text === "string" ? new TextEncoder().encode(text) : text)
  }

  stderr(text: string) {
    this.listener.onStderr(new TextEncoder().encode(text))
  }

  send(frame: unknown) {
    this.stdout(`${JSON.stringify(frame)}\n`)
  }

  reply(id: unknown, result: unknown) {
    this.send({ jsonrpc: "2.0", id, result })
  }

  drain() {
    this.full = false
    this.listener.onDrain()
  }

  exit(code: number | undefined, signal?: string) {
    this.exited = true
    this.listener.onExit({ code, signal })
  }

  /** The requests of the engine for a tool. */
  calls(tool?: string) {
    return this.written.filter(
      ({ method, params }) =>
        method === "tools/call" && (tool === undefined || (params as Record<string, unknown>)["name"] === tool)
    )
  }
}

/** Answers the handshake, and nothing else. */
export const shakesHands = (child: FakeProcess, frame: Record<string, unknown>) => {
  if (frame["method"] !== "initialize") return
  const { protocolVersion } = frame["params"] as Record<string, unknown>
  child.reply(frame["id"], { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "fake", version: "1" } })
}

const noHttp = Layer.succeed(HttpDispatcher.HttpDispatcher, {
  dispatch: () => {
    throw new Error("no HTTP here")
  },
  fetch: () => Promise.reject(new Error("no HTTP here"))
})

const noProcesses = Layer.succeed(ProcessOwner.ProcessOwner, {
  added: () => ({}),
  killAll: () => {},
  spawn: ({ command }) => Effect.fail(new ProcessOwner.SpawnFailed({ command, detail: "no processes here" }))
})

/** For servers in memory, which need nothing of the platform. */
export const none = Layer.merge(noHttp, noProcesses)

/** Processes that answer with `onWrite`; each is pushed on `children`. */
export const processes = (
  children: Array<FakeProcess>,
  onWrite: (child: FakeProcess, frame: Record<string, unknown>) => void = shakesHands
) =>
  Layer.merge(
    noHttp,
    Layer.succeed(ProcessOwner.ProcessOwner, {
      added: () => ({}),
      killAll: () => {},
      spawn: (command, listener) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const child = new FakeProcess(command, listener)
            children.push(child)
            return {
              pid: 4000 + children.length,
              write: (text: string) => {
                for (const line of text.trimEnd().split("\n")) {
                  const frame = JSON.parse(line) as Record<string, unknown>
                  child.written.push(frame)
                  queueMicrotask(() => onWrite(child, frame))
                }
                return !child.full
              },
              stop: Effect.sync((): ProcessOwner.StopStep => {
                child.stops++
                return child.exited ? "Exited" : "EndOfInput"
              })
            }
          }),
          ({ stop }) => stop
        )
    })
  )

/** One request over HTTP, to be answered by the test. */
export interface Exchange {
  readonly request: HttpDispatcher.HttpRequest
  readonly listener: HttpDispatcher.HttpListener
  aborted: boolean
  readonly respond: (status: number, headers?: Readonly<Record<string, string>>, body?: string) => void
  readonly data: (text: string) => void
  readonly end: () => void
  /** The connection breaks. */
  readonly fail: (detail?: string) => void
}

/** One POST of the engine. */
export interface Posted extends Exchange {
  readonly frame: Record<string, unknown>
}

/** A server over HTTP: the handshake is answered by itself, the engine's calls by the test. */
export class FakeHttp {
  /** POSTs of the engine: calls, and notices of their end. */
  readonly posts: Array<Posted> = []
  /** Everything else that was posted: handshake and lists. */
  readonly others: Array<Posted> = []
  readonly gets: Array<Exchange> = []
  readonly deletes: Array<Exchange> = []
  sessionId: string | undefined = "session-1"
  /** Sessions that are answered with 404. */
  readonly expired = new Set<string>()
  /** Default: the session ends at once. */
  onDelete: (exchange: Exchange) => void = (exchange) => exchange.respond(200, {}, "")
  /** Default: there is no stream. */
  onGet: (exchange: Exchange) => void = (exchange) => exchange.respond(405)
  onPosted: ((post: Posted) => void) | undefined
  /** Whether it answers this message of the handshake itself; default: it does. */
  onOther: (post: Posted) => boolean = () => false

  last(tool: string): Posted {
    return this.posts.findLast(({ frame }) => (frame["params"] as Record<string, unknown>)["name"] === tool)!
  }

  private answer(post: Posted) {
    const { frame, request } = post
    if (this.onOther(post)) return
    if (this.expired.has(request.headers["mcp-session-id"] ?? "")) return post.respond(404)
    if (frame["method"] === "tools/list") {
      return post.respond(200, json, result(post, { tools: [{ name: "t", inputSchema: { type: "object" } }] }))
    }
    if (frame["method"] !== "initialize") return post.respond(202, {}, "")
    const { protocolVersion } = frame["params"] as Record<string, unknown>
    const session: Record<string, string> = this.sessionId === undefined ? {} : { "mcp-session-id": this.sessionId }
    const serverInfo = { name: "fake", version: "1" }
    post.respond(
      200,
      { ...json, ...session },
      result(post, { protocolVersion, capabilities: { tools: {} }, serverInfo })
    )
  }

  private start(request: HttpDispatcher.HttpRequest, listener: HttpDispatcher.HttpListener): Exchange {
    const exchange: Exchange = {
      request,
      listener,
      aborted: false,
      data: (text) => {
        if (!exchange.aborted) listener.onData(new TextEncoder().encode(text))
      },
      end: () => {
        if (!exchange.aborted) listener.onEnd()
      },
      fail: (detail = "the socket broke") => {
        if (!exchange.aborted) listener.onFailure({ delivery: "OutcomeUnknown", detail })
      },
      respond: (status, headers = {}, body) => {
        if (exchange.aborted) return
        listener.onResponse(status, (name) => headers[name.toLowerCase()])
        if (body === undefined) return
        exchange.data(body)
        exchange.end()
      }
    }
    return exchange
  }

  private dispatch(request: HttpDispatcher.HttpRequest, listener: HttpDispatcher.HttpListener): Exchange {
    const exchange = this.start(request, listener)
    if (request.method === "GET") {
      this.gets.push(exchange)
      queueMicrotask(() => this.onGet(exchange))
    } else if (request.method === "DELETE") {
      this.deletes.push(exchange)
      queueMicrotask(() => this.onDelete(exchange))
    } else {
      const post: Posted = Object.assign(exchange, { frame: JSON.parse(request.body!) as Record<string, unknown> })
      const { id, method } = post.frame
      const isEngines = typeof id === "number" ? id >= 1_000_000_000 : method === "notifications/cancelled"
      if (isEngines && method !== "tools/list") {
        this.posts.push(post)
        queueMicrotask(() => this.onPosted?.(post))
      } else {
        this.others.push(post)
        queueMicrotask(() => this.answer(post))
      }
    }
    return exchange
  }

  get layer() {
    return Layer.merge(
      noProcesses,
      Layer.succeed(HttpDispatcher.HttpDispatcher, {
        fetch: () => Promise.reject(new Error("no fetch here")),
        dispatch: (request, listener) => {
          const exchange = this.dispatch(request, listener)
          return () => {
            exchange.aborted = true
          }
        }
      })
    )
  }
}

export const json = { "content-type": "application/json" } as const
export const sse = { "content-type": "text/event-stream; charset=utf-8" } as const
export const result = (post: Posted, value: unknown) =>
  JSON.stringify({ jsonrpc: "2.0", id: post.frame["id"], result: value })
export const event = (frame: unknown) => `event: message\ndata: ${JSON.stringify(frame)}\n\n`
export const hello = { content: [{ type: "text", text: "hello" }] } as const
