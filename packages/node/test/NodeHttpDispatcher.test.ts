import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, it } from "@effect/vitest"
import type { HttpDispatcher } from "@scoped-mcp/core"
import { NodeHttpDispatcher } from "@scoped-mcp/node"
import { Deferred, Effect, Exit, Scope } from "effect"
import { eventually } from "./system.ts"

/** A server on a free port of the loopback, and what it has seen: its word counts, not ours. */
const serve = Effect.fnUntraced(function* (answer: RequestListener) {
  const seen = { requests: 0, aborted: 0, sockets: 0, opened: 0 }
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((request, response) => {
        seen.requests++
        response.on("close", () => {
          if (!response.writableFinished) seen.aborted++
        })
        answer(request, response)
      })
      server.on("connection", (socket) => {
        seen.sockets++
        seen.opened++
        socket.on("close", () => seen.sockets--)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  const { port } = server.address() as AddressInfo
  return { seen, server, url: new URL(`http://127.0.0.1:${port}/mcp?key=1`) }
})

interface Answer {
  readonly status: number | undefined
  readonly header: (name: string) => string | undefined
  readonly chunks: ReadonlyArray<string>
  readonly failure: HttpDispatcher.HttpFailure | undefined
}

/** Sends a request; `answer` waits for its end, `chunks` grows until then. */
const dispatch = (
  dispatcher: HttpDispatcher.HttpDispatcher["Service"],
  url: URL,
  request: Partial<HttpDispatcher.HttpRequest> = {}
) => {
  const ended = Deferred.makeUnsafe<Answer>()
  const chunks: Array<string> = []
  const statuses: Array<number> = []
  let header: Answer["header"] = () => undefined
  let ends = 0
  const end = (failure?: HttpDispatcher.HttpFailure) => {
    ends++
    Deferred.doneUnsafe(ended, Effect.succeed({ status: statuses[0], header, chunks, failure }))
  }
  const abort = dispatcher.dispatch(
    { method: "POST", url, headers: {}, body: "{}", ...request },
    {
      onResponse: (code, get) => {
        statuses.push(code)
        header = get
      },
      onData: (chunk) => chunks.push(Buffer.from(chunk).toString()),
      onEnd: () => end(),
      onFailure: end
    }
  )
  return { abort, answer: Deferred.await(ended), chunks, ends: () => ends, statuses }
}

const until = (condition: () => boolean) => eventually(Effect.sync(condition), (holds) => holds)

const bodyOf = async (request: IncomingMessage) => {
  const parts = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts).toString()
}

const echo = (request: IncomingMessage, response: ServerResponse) => {
  void bodyOf(request).then((body) => response.end(JSON.stringify({ body, method: request.method, url: request.url })))
}

it.live("sends a request as it is and hands over status, headers and body", () =>
  Effect.gen(function* () {
    const dispatcher = yield* NodeHttpDispatcher.make
    const { url } = yield* serve((request, response) => {
      response.writeHead(201, {
        "Content-Type": "application/json",
        "Set-Cookie": ["a=1", "b=2"],
        "X-Sent": request.headers["x-one"] ?? ""
      })
      echo(request, response)
    })
    const body = "ä".repeat(2_000_000)
    const answer = yield* dispatch(dispatcher, url, { headers: { "x-one": "1" }, body }).answer
    assert.strictEqual(answer.status, 201)
    assert.strictEqual(answer.header("content-type"), "application/json")
    assert.strictEqual(answer.header("set-cookie"), "a=1, b=2")
    assert.strictEqual(answer.header("x-sent"), "1")
    assert.isUndefined(answer.header("x-absent"))
    const received = JSON.parse(answer.chunks.join(""))
    assert.strictEqual(received.body.length, body.length)
    assert.deepInclude(received, { method: "POST", url: "/mcp?key=1" })
    const deleted = yield* dispatch(dispatcher, url, { method: "DELETE", body: undefined }).answer
    assert.deepInclude(JSON.parse(deleted.chunks.join("")), { method: "DELETE", body: "" })
  })
)

it.live("hands over a stream piece by piece, in order, while it is being written", () =>
  Effect.gen(function* () {
    const dispatcher = yield* NodeHttpDispatcher.make
    let open: ServerResponse | undefined
    const { url } = yield* serve((_request, response) => {
      open = response.writeHead(200, { "content-type": "text/event-stream" })
      response.flushHeaders()
    })
    const { answer, chunks, statuses } = dispatch(dispatcher, url)
    yield* until(() => statuses.length === 1)
    for (let i = 0; i < 5; i++) {
      open!.write(`data: ${i}\n\n`)
      yield* until(() => chunks.join("") === Array.from({ length: i + 1 }, (_, at) => `data: ${at}\n\n`).join(""))
    }
    open!.end()
    assert.isUndefined((yield* answer).failure)
  })
)

it.live("passes over informational answers", () =>
  Effect.gen(function* () {
    const dispatcher = yield* NodeHttpDispatcher.make
    const { url } = yield* serve((_request, response) => {
      response.writeProcessing()
      response.writeEarlyHints({ link: "</style.css>; rel=preload" })
      response.end("done")
    })
    const { answer, statuses } = dispatch(dispatcher, url)
    assert.deepStrictEqual((yield* answer).chunks, ["done"])
    assert.deepStrictEqual(statuses, [200])
  })
)

it.live("aborts on the server as well, and says nothing more", () =>
  Effect.gen(function* () {
    const dispatcher = yield* NodeHttpDispatcher.make
    const { seen, url } = yield* serve((_request, response) => {
      response.write("first")
    })
    const running = dispatch(dispatcher, url)
    yield* until(() => running.chunks.length === 1)
    running.abort()
    running.abort()
    yield* until(() => seen.aborted === 1 && seen.sockets === 0)
    assert.strictEqual(running.ends(), 0)
  })
)

it.live("never sends what was aborted before it was on its way", () =>
  Effect.gen(function* () {
    const dispatcher = yield* NodeHttpDispatcher.make
    const { seen, url } = yield* serve(echo)
    const early = dispatch(dispatcher, url)
    early.abort()
    yield* dispatch(dispatcher, url).answer
    assert.strictEqual(seen.requests, 1)
    assert.strictEqual(early.ends(), 0)
  })
)

it.live.each([
  ["NotSent", "nobody listens", "refused"],
  ["NotSent", "the name leads nowhere", "unknown"],
  ["NotSent", "the other side does not speak TLS", "tls"],
  ["OutcomeUnknown", "the line breaks before the answer", "before"],
  ["OutcomeUnknown", "the line breaks after its head", "after"],
  ["OutcomeUnknown", "the body is cut", "cut"]
] as const)("reports %s when %s", ([delivery, , how]) =>
  Effect.gen(function* () {
    const dispatcher = yield* NodeHttpDispatcher.make
    const { seen, server, url } = yield* serve((request, response) => {
      if (how !== "before") response.writeHead(200, how === "cut" ? { "content-length": "100" } : {}).write("part")
      request.resume().on("end", () => setImmediate(() => request.socket.destroy()))
    })
    if (how === "refused") yield* Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
    if (how === "unknown") url.hostname = "no-such-host.invalid"
    if (how === "tls") url.protocol = "https:"
    const { answer, ends } = dispatch(dispatcher, url)
    const { failure } = yield* answer
    assert.strictEqual(failure?.delivery, delivery)
    assert.notStrictEqual(failure?.detail, "")
    assert.strictEqual(ends(), 1)
    assert.strictEqual(seen.requests, delivery === "NotSent" ? 0 : 1)
  })
)

it.live("ends all sockets with its layer, and sends nothing afterwards", () =>
  Effect.gen(function* () {
    const { seen, url } = yield* serve((request, response) => {
      if (request.url === "/hang") response.write("first")
      else echo(request, response)
    })
    const scope = yield* Scope.make()
    const dispatcher = yield* Scope.provide(NodeHttpDispatcher.make, scope)
    yield* Effect.forEach(Array.from({ length: 10 }), () => dispatch(dispatcher, url).answer, { concurrency: 10 })
    const hanging = dispatch(dispatcher, new URL("/hang", url))
    yield* until(() => hanging.chunks.length === 1)
    assert.isAtLeast(seen.sockets, 2)
    yield* Scope.close(scope, Exit.void)
    yield* until(() => seen.sockets === 0)
    assert.strictEqual((yield* hanging.answer).failure?.delivery, "OutcomeUnknown")
    assert.strictEqual((yield* dispatch(dispatcher, url).answer).failure?.delivery, "NotSent")
    assert.strictEqual(seen.requests, 11)
  })
)

it.live("fetches nothing after its layer, whether or not it was used before", () =>
  Effect.gen(function* () {
    const { seen, url } = yield* serve(echo)
    for (const isUsed of [false, true]) {
      const scope = yield* Scope.make()
      const dispatcher = yield* Scope.provide(NodeHttpDispatcher.make, scope)
      if (isUsed) yield* Effect.promise(async () => (await dispatcher.fetch(url)).text())
      yield* Scope.close(scope, Exit.void)
      yield* Effect.flip(Effect.tryPromise(() => dispatcher.fetch(url)))
    }
    assert.strictEqual(seen.requests, 1)
  })
)

it.live("carries 200 requests at the same time, and uses their sockets again", () =>
  Effect.gen(function* () {
    const dispatcher = yield* NodeHttpDispatcher.make
    const held: Array<() => void> = []
    const { seen, url } = yield* serve((request, response) => {
      held.push(() => echo(request, response))
      if (held.length >= 200) for (const answer of held.splice(0)) answer()
    })
    const requests = Array.from({ length: 200 }, (_, index) => dispatch(dispatcher, url, { body: String(index) }))
    const answers = yield* Effect.forEach(requests, ({ answer }) => answer)
    assert.deepStrictEqual(
      answers.map(({ chunks }) => JSON.parse(chunks.join("")).body),
      requests.map((_, index) => String(index))
    )
    assert.strictEqual(seen.opened, 200)
    // A socket is free again a moment after its answer, so a second wave may need some more, and the tenth none.
    const wave = Effect.suspend(() =>
      Effect.forEach(
        Array.from({ length: 200 }, () => dispatch(dispatcher, url)),
        ({ answer }) => answer
      )
    )
    yield* Effect.repeat(wave, { times: 9 })
    assert.isAtMost(seen.opened, 400)
  })
)

it.live("gives the SDK a fetch over the same sockets", () =>
  Effect.gen(function* () {
    const dispatcher = yield* NodeHttpDispatcher.make
    const { seen, url } = yield* serve(echo)
    const turn = Effect.gen(function* () {
      yield* dispatch(dispatcher, url).answer
      const response = yield* Effect.promise(() => dispatcher.fetch(url, { method: "POST", body: "hello" }))
      assert.deepInclude(yield* Effect.promise(() => response.json()), { body: "hello" })
    })
    yield* Effect.repeat(turn, { times: 9 })
    assert.isAtMost(seen.opened, 2)
  })
)
