/**
 * A scripted server over real HTTP: POSTs answered by one JSON document or a stream of events, the GET stream, sessions
 * of the 2025 era, and single requests of the 2026 one.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 */
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import * as ServerConfig from "@scoped-mcp/core/ServerConfig"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import type { Http } from "../Fault.ts"
import * as Journal from "../Journal.ts"
import type { Definition, HttpOptions, OverHttp } from "../ScriptedServer.ts"
import { envelopeVersion, error, type Frame, isRequestId, parse, versions } from "./frames.ts"
import * as HttpLine from "./httpLine.ts"
import * as ServerState from "./ServerState.ts"
import * as Session from "./Session.ts"
import * as WireFaults from "./wireFaults.ts"

interface Client {
  readonly session: Session.Session
  readonly scope: Scope.Closeable
  readonly line: HttpLine.HttpLine
  readonly faults: ReadonlyArray<Http>
  /** Calls of tools that were posted. */
  calls: number
  /** Headers of the request that is being read. */
  headers: IncomingMessage["headers"]
}

const reply = (res: ServerResponse, status: number, headers: Record<string, string> = {}, body?: Frame) => {
  res.writeHead(status, body === undefined ? headers : { ...headers, "content-type": "application/json" })
  res.end(body === undefined ? undefined : JSON.stringify(body))
}

const readBody = async (req: IncomingMessage): Promise<Frame | undefined> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return parse(Buffer.concat(chunks).toString("utf8"))
}

const header = (req: IncomingMessage, name: string): string | undefined => {
  const value = req.headers[name]
  return typeof value === "string" ? value : undefined
}

export const make = Effect.fnUntraced(function* (
  definition: Definition,
  faults: ReadonlyArray<Http>,
  options: HttpOptions
): Effect.fn.Return<OverHttp, never, Scope.Scope> {
  const { answers = "auto", bearer, ...limits } = options
  const journal = Journal.makeUnsafe()
  const state = ServerState.make(definition, faults, journal)
  const outer = yield* Effect.scope
  const run = yield* FiberSet.runtime(yield* FiberSet.make<unknown>())<never>()
  const clients = new Map<string, Client>()
  /** Of the 2026 era, whose requests belong to no session. */
  const single = { counters: { frames: 0, calls: 0 }, faults: undefined as ReadonlyArray<Http> | undefined }
  const refusals = new Map<Http, number>()

  const server = createServer((req, res) => {
    // The other side may go at any time; what is written to it then is lost.
    res.on("error", () => {})
    run(serve(req, res))
  })
  const listen = (port: number) =>
    Effect.promise(async () => {
      server.listen(port, "127.0.0.1")
      await once(server, "listening")
    })
  yield* Effect.acquireRelease(listen(0), () =>
    Effect.promise(async () => {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    })
  )
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`)

  const forget = (id: string, client: Client) => {
    clients.delete(id)
    return Scope.close(client.scope, Exit.void)
  }

  const cut = Effect.gen(function* () {
    const gone = [...clients]
    clients.clear()
    server.closeAllConnections()
    const forgotten = Effect.forEach(gone, ([id, client]) => forget(id, client), { discard: true })
    // From fibres of their own: the one that cuts the line belongs to what is closed here.
    yield* Effect.forkIn(forgotten, outer)
    const down = state.downUntil - (yield* Clock.currentTimeMillis)
    if (down <= 0 || !server.listening) return
    server.close()
    yield* Effect.forkIn(Effect.delay(listen(Number(url.port)), Duration.millis(down)), outer)
  })

  const open = Effect.fnUntraced(function* (
    id: string,
    scope: Scope.Closeable,
    counters: WireFaults.Counters,
    mine: ReadonlyArray<Http>,
    headers: IncomingMessage["headers"]
  ) {
    const line = HttpLine.make(mine, answers, cut)
    const echo = ServerState.find(mine, "EchoHeaders")
    const quoted = () => echo?.names.map((name) => `${name}: ${String(client.headers[name.toLowerCase()])}`).join(", ")
    const session = yield* Session.make(state, line, {
      id,
      faults: mine.filter(WireFaults.isCommon),
      counters,
      sessionless: counters === single.counters,
      quoted
    }).pipe(Scope.provide(scope))
    const client: Client = { session, scope, line, faults: mine, calls: 0, headers }
    return client
  })

  const refuse = Effect.fnUntraced(function* (
    req: IncomingMessage,
    res: ServerResponse,
    status: number,
    headers: Record<string, string> = {},
    body?: Frame
  ) {
    yield* journal.record({ _tag: "HttpRefused", method: req.method ?? "", status })
    reply(res, status, headers, body)
  })

  /** The declared refusal that this request meets. */
  const refusalOf = (frame: Frame) => {
    const fault = faults.find(
      (fault) =>
        fault._tag === "Refuse" &&
        (fault.method === undefined || fault.method === frame["method"]) &&
        (refusals.get(fault) ?? 0) < (fault.times ?? Number.POSITIVE_INFINITY)
    )
    if (fault?._tag !== "Refuse") return undefined
    refusals.set(fault, (refusals.get(fault) ?? 0) + 1)
    const retryAfter: Record<string, string> =
      fault.retryAfter === undefined ? {} : { "retry-after": String(Math.ceil(Duration.toSeconds(fault.retryAfter))) }
    const challenge: Record<string, string> = fault.status === 401 ? { "www-authenticate": "Bearer" } : {}
    return { status: fault.status, headers: { ...retryAfter, ...challenge } }
  }

  /** Reads a frame and, when it is a request, ties the response to its answer; else there is none to wait for. */
  const receive = (
    client: Client,
    frame: Frame,
    req: IncomingMessage,
    res: ServerResponse,
    headers: Record<string, string>
  ) => {
    const { id, method } = frame
    client.headers = req.headers
    if (isRequestId(id) && typeof method === "string") client.line.tie(id, method, res, headers)
    else reply(res, 202, headers)
    return client.session.receive(frame)
  }

  const postSingle = Effect.fnUntraced(function* (frame: Frame, req: IncomingMessage, res: ServerResponse) {
    const { id, method } = frame
    const version = header(req, "mcp-protocol-version")
    const named = header(req, "mcp-method")
    if (version !== envelopeVersion(frame) || (named !== undefined && named !== method)) {
      const wrong = error(isRequestId(id) ? id : null, -32_020, "the headers and the body disagree")
      return yield* refuse(req, res, 400, {}, wrong)
    }
    single.faults ??= ServerState.connect(state)
    const scope = yield* Scope.fork(outer)
    const gone = Effect.promise(async () => {
      if (!res.closed) await once(res, "close")
    })
    yield* Effect.gen(function* () {
      const client = yield* open("single requests", scope, single.counters, single.faults ?? [], req.headers)
      yield* receive(client, frame, req, res, {})
      yield* gone
      if (!res.writableFinished && isRequestId(id)) yield* client.session.cancel(id)
    }).pipe(Effect.ensuring(Scope.close(scope, Exit.void)))
  })

  const postSession = Effect.fnUntraced(function* (frame: Frame, req: IncomingMessage, res: ServerResponse) {
    const known = header(req, "mcp-session-id")
    if (frame["method"] === "initialize") {
      const id = randomUUID()
      const scope = yield* Scope.fork(outer)
      const client = yield* open(id, scope, { frames: 0, calls: 0 }, ServerState.connect(state), req.headers)
      clients.set(id, client)
      return yield* receive(client, frame, req, res, { "mcp-session-id": id })
    }
    if (known === undefined) return yield* refuse(req, res, 400, {}, error(null, -32_000, "Mcp-Session-Id is missing"))
    const client = clients.get(known)
    if (client === undefined) return yield* refuse(req, res, 404, {}, error(null, -32_001, "Session not found"))
    const expiry = ServerState.find(client.faults, "ExpiringSessions")
    if (frame["method"] === "tools/call" && expiry !== undefined && client.calls++ >= expiry.calls) {
      yield* forget(known, client)
      return yield* refuse(req, res, 404, {}, error(null, -32_001, "Session not found"))
    }
    yield* receive(client, frame, req, res, {})
  })

  const post = Effect.fnUntraced(function* (req: IncomingMessage, res: ServerResponse) {
    const frame = yield* Effect.promise(() => readBody(req))
    if (frame === undefined)
      return yield* refuse(req, res, 400, {}, error(null, -32_700, "this is no JSON-RPC message"))
    const refusal = refusalOf(frame)
    if (refusal !== undefined) return yield* refuse(req, res, refusal.status, refusal.headers)
    const era = envelopeVersion(frame) === undefined ? "2025" : "2026"
    if (definition.eras.includes(era)) {
      return yield* era === "2026" ? postSingle(frame, req, res) : postSession(frame, req, res)
    }
    const id = isRequestId(frame["id"]) ? frame["id"] : null
    const other =
      era === "2025"
        ? error(id, -32_022, "unsupported protocol version", { supported: versions["2026"] })
        : error(id, -32_000, "Mcp-Session-Id is missing")
    yield* refuse(req, res, 400, {}, other)
  })

  const onSession = (
    req: IncomingMessage,
    res: ServerResponse,
    use: (client: Client, id: string) => Effect.Effect<void>
  ): Effect.Effect<void> => {
    const id = header(req, "mcp-session-id")
    const client = id === undefined ? undefined : clients.get(id)
    return id === undefined || client === undefined ? refuse(req, res, id === undefined ? 400 : 404) : use(client, id)
  }

  const serve = Effect.fnUntraced(
    function* (req: IncomingMessage, res: ServerResponse): Effect.fn.Return<void> {
      if (new URL(req.url ?? "/", url).pathname !== url.pathname) return yield* refuse(req, res, 404)
      if (bearer !== undefined && req.headers.authorization !== `Bearer ${bearer}`) {
        return yield* refuse(req, res, 401, { "www-authenticate": "Bearer" })
      }
      switch (req.method) {
        case "POST":
          return yield* post(req, res)
        case "GET":
          return yield* onSession(req, res, (client) => Effect.sync(() => client.line.stream(res)))
        case "DELETE":
          return yield* onSession(req, res, (client, id) =>
            Effect.andThen(
              forget(id, client),
              Effect.sync(() => reply(res, 200))
            )
          )
        default:
          return yield* refuse(req, res, 405)
      }
    },
    // A client that goes while it is read takes its request with it.
    (served) => Effect.ignoreCause(served)
  )

  return {
    config: ServerConfig.http({
      ...limits,
      url,
      // The era with sessions where it speaks both, because they are what most tests of it are about.
      era: definition.eras.includes("2025") ? "legacy" : "modern",
      headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
    }),
    url,
    journal,
    notify: (method, params) => ServerState.notify(state, method, params)
  }
})
