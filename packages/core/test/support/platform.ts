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

/** One POST of the engine, to be answered by the test. */
export interface Posted {
  readonly request: HttpDispatcher.HttpRequest
  readonly frame: Record<string, unknown>
  readonly listener: HttpDispatcher.HttpListener
  aborted: boolean
  readonly respond: (status: number, headers?: Readonly<Record<string, string>>, body?: string) => void
  readonly data: (text: string) => void
}

/** A server over HTTP: the handshake is answered by `fetch`, the engine's requests by the test. */
export class FakeHttp {
  readonly posts: Array<Posted> = []
  readonly fetched: Array<{ readonly method: string; readonly headers: Headers; readonly body: string | undefined }> =
    []
  sessionId: string | undefined = "session-1"
  /** Sessions that `fetch` answers with 404. */
  readonly expired = new Set<string>()
  /** Default: the session ends at once. */
  onDelete: () => Promise<Response> = () => Promise.resolve(new Response(null, { status: 200 }))
  onPosted: ((post: Posted) => void) | undefined

  last(tool: string): Posted {
    return this.posts.findLast(({ frame }) => (frame["params"] as Record<string, unknown>)["name"] === tool)!
  }

  get layer() {
    return Layer.merge(
      noProcesses,
      Layer.succeed(HttpDispatcher.HttpDispatcher, {
        fetch: (_url, init) => {
          const body = typeof init?.body === "string" ? init.body : undefined
          const method = init?.method ?? "GET"
          this.fetched.push({ method, headers: new Headers(init?.headers), body })
          if (method === "DELETE") return this.onDelete()
          if (method === "GET") return Promise.resolve(new Response(null, { status: 405 }))
          const frame = JSON.parse(body!) as Record<string, unknown>
          const headers: Record<string, string> = { "content-type": "application/json" }
          const answer = (result: unknown) =>
            Promise.resolve(new Response(JSON.stringify({ jsonrpc: "2.0", id: frame["id"], result }), { headers }))
          if (this.expired.has(new Headers(init?.headers).get("mcp-session-id") ?? "")) {
            return Promise.resolve(new Response(null, { status: 404 }))
          }
          if (frame["method"] === "tools/list") {
            return answer({ tools: [{ name: "t", inputSchema: { type: "object" } }] })
          }
          if (frame["method"] !== "initialize") return Promise.resolve(new Response(null, { status: 202 }))
          const { protocolVersion } = frame["params"] as Record<string, unknown>
          if (this.sessionId !== undefined) headers["mcp-session-id"] = this.sessionId
          return answer({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "fake", version: "1" } })
        },
        dispatch: (request, listener) => {
          const data = (text: string) => {
            if (!post.aborted) listener.onData(new TextEncoder().encode(text))
          }
          const post: Posted = {
            request,
            frame: JSON.parse(request.body!) as Record<string, unknown>,
            listener,
            aborted: false,
            data,
            respond: (status, headers = {}, body) => {
              if (post.aborted) return
              listener.onResponse(status, (name) => headers[name.toLowerCase()])
              if (body === undefined) return
              data(body)
              if (!post.aborted) listener.onEnd()
            }
          }
          this.posts.push(post)
          queueMicrotask(() => this.onPosted?.(post))
          return () => {
            post.aborted = true
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
