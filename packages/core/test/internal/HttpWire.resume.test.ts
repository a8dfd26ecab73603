import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { call, failure, settled, text, withHttp } from "../support/http.ts"
import * as Platform from "../support/platform.ts"

/** The GETs that ask for the rest of an answer. */
const asked = (http: Platform.FakeHttp) => http.gets.filter(({ request }) => "last-event-id" in request.headers)

/** A server that has no stream of its own; the rest of answers is up to the test. */
const resuming = (onRest: (exchange: Platform.Exchange, index: number) => void) => {
  const http = new Platform.FakeHttp()
  http.onGet = (exchange) => {
    if (!("last-event-id" in exchange.request.headers)) return exchange.respond(405)
    onRest(exchange, asked(http).length - 1)
  }
  return http
}

const answer = (http: Platform.FakeHttp) =>
  Platform.event({ jsonrpc: "2.0", id: http.last("t").frame["id"], result: Platform.hello })

const lost = { _tag: "ConnectionLost", delivery: "OutcomeUnknown" } as const

describe("an answer whose stream is lost", () => {
  it.effect("is lost at once where the server gave it no id", () =>
    withHttp((connection, http) =>
      Effect.gen(function* () {
        for (const how of ["end", "fail"] as const) {
          const running = yield* call(connection)
          http.last("t").respond(200, Platform.sse)
          http.last("t").data(": working\n\n")
          http.last("t")[how]()
          assert.deepInclude(yield* failure(running), lost)
        }
        assert.lengthOf(asked(http), 0)
      })
    )
  )

  it.effect.each(["end", "fail"] as const)(
    "is asked for after its last event, when the server wants it to be, and brings progress and result: %s",
    (how) => {
      const http = resuming(({ respond }) => respond(200, Platform.sse))
      return withHttp(
        (connection) =>
          Effect.gen(function* () {
            const seen: Array<number> = []
            const running = yield* call(connection, "t", (step) => seen.push(step))
            const post = http.last("t")
            post.respond(200, Platform.sse)
            post.data("id: event-1\nretry: 500\ndata:\n\n")
            post[how]()
            yield* TestClock.adjust("499 millis")
            assert.lengthOf(asked(http), 0)
            yield* TestClock.adjust("1 millis")
            yield* settled
            const [rest] = asked(http)
            assert.deepInclude(rest!.request.headers, {
              "last-event-id": "event-1",
              "mcp-session-id": "session-1",
              accept: "text/event-stream"
            })
            const progress = { progressToken: post.frame["id"], progress: 3 }
            rest!.data(Platform.event({ jsonrpc: "2.0", method: "notifications/progress", params: progress }))
            rest!.data(answer(http))
            assert.strictEqual(yield* text(running), "hello")
            assert.deepStrictEqual(seen, [3])
            assert.isTrue(rest!.aborted)
            assert.lengthOf(http.posts, 1)
          }),
        { http }
      )
    }
  )

  it.effect.each([405, 400, 404, 200])("is lost at once when the server will not resume it: %d", (status) =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const running = yield* call(connection)
          http.last("t").respond(200, Platform.sse, "id: 1\ndata:\n\n")
          yield* TestClock.adjust("1 seconds")
          assert.deepInclude(yield* failure(running), lost)
          assert.lengthOf(asked(http), 1)
          const next = yield* call(connection, "next")
          http.last("next").respond(200, Platform.json, Platform.result(http.last("next"), Platform.hello))
          assert.strictEqual(yield* text(next), "hello")
        }),
      { http: resuming(({ respond }) => respond(status, { "content-type": "text/plain" })) }
    )
  )

  it.effect("is asked for three times while the server is away or sends nothing new, and then lost", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const running = yield* call(connection)
          http.last("t").respond(200, Platform.sse, "id: 1\nretry: 0\ndata:\n\n")
          yield* TestClock.adjust("249 millis")
          assert.lengthOf(asked(http), 0)
          for (let i = 0; i < 10; i++) yield* TestClock.adjust("1 seconds")
          assert.deepInclude(yield* failure(running), lost)
          assert.lengthOf(asked(http), 3)
        }),
      {
        http: resuming((exchange, index) => {
          if (index === 0) exchange.listener.onFailure({ delivery: "NotSent", detail: "refused" })
          else if (index === 1) exchange.respond(503)
          else exchange.respond(200, Platform.sse, ": nothing\n\n")
        })
      }
    )
  )

  it.effect("is lost soon when its stream was cut and nobody is there any more", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const running = yield* call(connection)
          http.last("t").respond(200, Platform.sse)
          http.last("t").data("id: 1\ndata:\n\n")
          http.last("t").fail()
          yield* TestClock.adjust("250 millis")
          assert.deepInclude(yield* failure(running), lost)
          assert.lengthOf(asked(http), 1)
        }),
      { http: resuming(({ listener }) => listener.onFailure({ delivery: "NotSent", detail: "refused" })) }
    )
  )

  it.effect("may come over as many streams as the server likes, while each brings something", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const running = yield* call(connection)
          http.last("t").respond(200, Platform.sse, "id: 0\ndata:\n\n")
          for (let i = 0; i < 20; i++) yield* TestClock.adjust("1 seconds")
          assert.strictEqual(yield* text(running), "hello")
          assert.deepStrictEqual(
            asked(http).map(({ request }) => request.headers["last-event-id"]),
            ["0", "1", "2", "3", "4", "5", "6", "7"]
          )
        }),
      {
        http: (() => {
          const http = resuming((exchange, index) =>
            exchange.respond(200, Platform.sse, index === 7 ? answer(http) : `id: ${index + 1}\ndata:\n\n`)
          )
          return http
        })()
      }
    )
  )

  it.effect("is not asked for when its caller has gone meanwhile", () =>
    withHttp(
      (connection, http) =>
        Effect.gen(function* () {
          const waiting = yield* call(connection)
          http.last("t").respond(200, Platform.sse, "id: 1\nretry: 5000\ndata:\n\n")
          yield* Fiber.interrupt(waiting)
          const reading = yield* call(connection)
          http.last("t").respond(200, Platform.sse, "id: 2\ndata:\n\n")
          yield* TestClock.adjust("1 seconds")
          yield* settled
          yield* Fiber.interrupt(reading)
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(
            asked(http).map(({ aborted, request }) => [request.headers["last-event-id"], aborted]),
            [["2", true]]
          )
        }),
      { http: resuming(({ respond }) => respond(200, Platform.sse)) }
    )
  )
})
