import { assert, describe, it } from "@effect/vitest"
import { type McpConnection } from "@scoped-mcp/core"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { call, canary, failure, settled, withHttp } from "../support/http.ts"
import * as Platform from "../support/platform.ts"
import * as Pool from "../support/pool.ts"

/** A server with a stream of its own, which the test writes. */
const streaming = (
  onGet: (exchange: Platform.Exchange, index: number) => void = ({ respond }) => respond(200, Platform.sse)
) => {
  const http = new Platform.FakeHttp()
  http.onGet = (exchange) => onGet(exchange, http.gets.length - 1)
  return http
}

const changed = { jsonrpc: "2.0", method: "notifications/tools/list_changed" }

const status = (connection: McpConnection.Connection) => Effect.map(connection.diagnostics, ({ stream }) => stream!)

/** What a gap may be off by, in milliseconds. */
const step = 250

/** Gaps between the opened streams, in milliseconds, while time goes by in steps. */
const gaps = Effect.fnUntraced(function* (http: Platform.FakeHttp, seconds: number) {
  const seen: Array<number> = []
  let last = 0
  for (let now = 0; now < seconds * 1_000; now += step) {
    const before = http.gets.length
    yield* TestClock.adjust(step)
    yield* settled
    for (let i = before; i < http.gets.length; i++) {
      seen.push(now + step - last)
      last = now + step
    }
  }
  return seen
})

describe("the stream of a server over HTTP", () => {
  it.effect("is opened with the session once the handshake is over, and brings notifications", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const heard = yield* Effect.forkChild(Stream.runHead(connection.notifications), { startImmediately: true })
          yield* settled
          assert.lengthOf(http.gets, 1)
          assert.deepStrictEqual(http.gets[0]!.request.headers, {
            authorization: `Bearer ${canary}`,
            accept: "text/event-stream",
            "mcp-session-id": "session-1",
            "mcp-protocol-version": connection.info.protocolVersion
          })
          assert.deepInclude(yield* status(connection), { state: "Open", failures: 0 })
          http.gets[0]!.data(Platform.event(changed))
          yield* Fiber.join(heard)
        }),
      { http: streaming() }
    )
  )

  it.effect("is not asked for again where there is none, which is no fault", () =>
    Effect.gen(function* () {
      for (const code of [405, 404, 501]) {
        const http = streaming(({ respond }) => respond(code))
        yield* withHttp(
          (connection) =>
            Effect.gen(function* () {
              yield* TestClock.adjust("10 minutes")
              assert.lengthOf(http.gets, 1)
              assert.deepStrictEqual(yield* status(connection), { state: "Absent", detail: undefined, failures: 0 })
              const running = yield* call(connection)
              http.last("t").respond(500)
              assert.strictEqual((yield* failure(running))._tag, "ProtocolError")
            }),
          { http }
        )
      }
    })
  )

  it.effect.each([
    ["400", (it: Platform.Exchange) => it.respond(400), "HTTP 400"],
    [
      "a page",
      (it: Platform.Exchange) => it.respond(200, { "content-type": `text/html; ${canary}` }),
      "text/html; <redacted>"
    ]
  ] as const)("that a server refuses with %s is given up, for all to see", ([, answer, detail]) =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          yield* TestClock.adjust("10 minutes")
          assert.lengthOf(http.gets, 1)
          const seen = yield* status(connection)
          assert.strictEqual(seen.state, "Refused")
          assert.include(seen.detail, detail)
        }),
      { http: streaming(answer) }
    )
  )

  it.effect("that is lost is opened again after its last event, and says so meanwhile", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          yield* settled
          http.gets[0]!.data(`id: 41\n${Platform.event(changed)}id: 42\ndata:\n\n`)
          http.gets[0]!.fail(`reset by ${canary}`)
          yield* settled
          assert.deepStrictEqual(yield* status(connection), {
            state: "Reopening",
            detail: "reset by <redacted>",
            failures: 1
          })
          yield* TestClock.adjust("999 millis")
          assert.lengthOf(http.gets, 1)
          yield* TestClock.adjust("300 millis")
          yield* settled
          assert.lengthOf(http.gets, 2)
          assert.strictEqual(http.gets[1]!.request.headers["last-event-id"], "42")
          assert.strictEqual((yield* status(connection)).state, "Open")
        }),
      { http: streaming() }
    )
  )

  it.effect("is opened again for as long as the connection lives, after an outage of any length", () => {
    let down = false
    const http = streaming((exchange) => (down ? exchange.respond(503) : exchange.respond(200, Platform.sse)))
    return withHttp(
      (connection) =>
        Effect.gen(function* () {
          yield* settled
          down = true
          http.gets[0]!.end()
          const waits = yield* gaps(http, 900)
          assert.isAbove(waits.length, 24)
          assert.isAtLeast(Math.min(...waits), 1_000 - step)
          // 30 s, and a quarter more for chance.
          assert.isAtMost(Math.max(...waits), 37_500 + step)
          assert.isAbove(new Set(waits.slice(6)).size, 5)
          assert.isAbove((yield* status(connection)).failures, 24)
          down = false
          yield* TestClock.adjust("38 seconds")
          yield* settled
          assert.strictEqual((yield* status(connection)).state, "Open")
        }),
      { http }
    )
  })

  it.effect("makes no storm of a server that ends every stream at once and asks for no pause", () =>
    withHttp(
      (_connection, http) =>
        Effect.gen(function* () {
          const waits = yield* gaps(http, 120)
          assert.isAtMost(waits.length, 12)
          assert.isAtLeast(Math.min(...waits), 1_000 - step)
        }),
      { http: streaming(({ respond }) => respond(200, Platform.sse, "retry: 0\nid: 1\ndata:\n\n")) }
    )
  )

  it.effect("is opened at the pace that the server asks for while it brings messages, a minute at most", () =>
    Effect.gen(function* () {
      for (const [retry, least, most] of [
        [5_000, 5_000, 6_250],
        [0, 1_000, 1_250],
        [86_400_000, 60_000, 75_000]
      ] as const) {
        const http = streaming(({ respond }) =>
          respond(200, Platform.sse, `retry: ${retry}\n${Platform.event(changed)}`)
        )
        yield* withHttp(
          () =>
            Effect.gen(function* () {
              const [, ...waits] = yield* gaps(http, 320)
              assert.isAtLeast(waits.length, 3)
              assert.isAtLeast(Math.min(...waits), least - step)
              assert.isAtMost(Math.max(...waits), most + step)
            }),
          { http }
        )
      }
    })
  )

  it.effect("does not ask again for what a server cannot resume from", () =>
    withHttp(
      (_connection, http) =>
        Effect.gen(function* () {
          yield* settled
          http.gets[0]!.data(`id: 7\n${Platform.event(changed)}`)
          http.gets[0]!.end()
          yield* TestClock.adjust("1300 millis")
          yield* TestClock.adjust("5 seconds")
          yield* settled
          assert.deepStrictEqual(
            http.gets.map(({ request }) => request.headers["last-event-id"]),
            [undefined, "7", undefined]
          )
        }),
      {
        http: streaming(({ request, respond }) =>
          request.headers["last-event-id"] === undefined ? respond(200, Platform.sse) : respond(400)
        )
      }
    )
  )

  it.effect("that is open again and meets no session any more ends the connection", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          yield* settled
          const running = yield* call(connection)
          http.gets[0]!.end()
          yield* TestClock.adjust("2 seconds")
          assert.include((yield* connection.closed).message, "session has expired")
          assert.deepInclude(yield* failure(running), { _tag: "ConnectionLost", delivery: "OutcomeUnknown" })
          yield* connection.close
          assert.lengthOf(http.deletes, 0)
        }),
      {
        http: streaming((exchange, index) =>
          index === 0 ? exchange.respond(200, Platform.sse) : exchange.respond(404)
        )
      }
    )
  )

  it.effect("that meets 404 without a session is opened again like any other", () => {
    const http = streaming((exchange, index) =>
      index === 1 ? exchange.respond(404) : exchange.respond(200, Platform.sse)
    )
    http.sessionId = undefined
    return withHttp(
      (connection) =>
        Effect.gen(function* () {
          yield* settled
          http.gets[0]!.end()
          yield* TestClock.adjust("2 seconds")
          yield* TestClock.adjust("4 seconds")
          yield* settled
          assert.lengthOf(http.gets, 3)
          assert.strictEqual((yield* status(connection)).state, "Open")
        }),
      { http }
    )
  })

  it.effect("passes over a message over the limit, and goes on", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const heard = yield* Effect.forkChild(Stream.runHead(connection.notifications), { startImmediately: true })
          yield* settled
          const large = { jsonrpc: "2.0", method: "notifications/message", params: { data: "x".repeat(40_000) } }
          http.gets[0]!.data(Platform.event(large) + Platform.event(changed))
          yield* Fiber.join(heard)
          assert.strictEqual((yield* connection.diagnostics).noiseCount, 1)
        }),
      { http: streaming(), maxMessageBytes: "32 KiB" }
    )
  )

  it.effect("ends with the connection, open or waiting, and leaves nothing that opens it again", () =>
    Effect.gen(function* () {
      for (const isOpen of [true, false]) {
        const http = streaming()
        yield* withHttp(
          (connection) =>
            Effect.gen(function* () {
              yield* settled
              if (!isOpen) http.gets[0]!.fail()
              yield* settled
              yield* connection.close
              assert.strictEqual(http.gets[0]!.aborted, true)
              yield* TestClock.adjust("10 minutes")
              assert.lengthOf(http.gets, 1)
            }),
          { http }
        )
      }
    })
  )

  it.effect("may ask us without end, and leaves no answer open that it does not take", () =>
    withHttp(
      (_, http) =>
        Effect.gen(function* () {
          yield* settled
          http.onOther = () => true
          const before = http.others.length
          for (let id = 0; id < 3; id++) http.gets[0]!.data(Platform.event({ jsonrpc: "2.0", id, method: "ping" }))
          yield* Pool.eventually(() => http.others.length === before + 3)
          yield* TestClock.adjust("30 seconds")
          assert.isTrue(http.others.slice(before).every(({ aborted }) => aborted))
        }),
      { http: streaming() }
    )
  )
})
