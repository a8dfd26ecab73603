/** H1–H12: Streamable HTTP. */
import { Effect, Exit, Option } from "effect"
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from "undici"
import { eventually, timed } from "../system.ts"
import { answer, event, type Exchange, notice, say, serve, status, stream } from "./HttpServer.ts"
import { must, type Row, rows, rowsAlone } from "./Row.ts"
import { outcome } from "./Subject.ts"

/** Tools, by name. */
const tools = (tools: Readonly<Record<string, (exchange: Exchange) => void>>) => ({
  "tools/call": (exchange: Exchange) => tools[String(exchange.params["name"])]?.(exchange)
})

const call = { idle: 2_500 }

const H1: Row = {
  holds: "H1 a call whose stream ends or breaks without an answer fails at once",
  sdk: "it waits for its limit",
  run: Effect.fnUntraced(function* (subject) {
    const { server } = yield* serve(
      tools({
        ended: (exchange) => stream(exchange, ": here\n\n").end(),
        broken: (exchange) => stream(exchange, ": here\n\n").socket?.destroy()
      })
    )
    const client = yield* subject.open(server)
    const both = [yield* client.start("ended", {}, call), yield* client.start("broken", {}, call)]
    const { millis } = yield* timed(Effect.forEach(both, (one) => one.outcome))
    yield* must(millis < 2_000, "it waits for its limit")
  })
}

const H1list: Row = {
  holds: "H1 a list whose stream ends without an answer fails at once",
  sdk: "it waits for its limit",
  run: Effect.fnUntraced(function* (subject) {
    const { server } = yield* serve({ "tools/list": (exchange) => void stream(exchange, ": here\n\n").end() })
    const client = yield* subject.open(server)
    const over = yield* Effect.timeoutOption(Effect.exit(client.tools), "2 seconds")
    yield* must(Option.isSome(over), "it waits for its limit")
    yield* must(Option.exists(over, Exit.isFailure), "it succeeds")
  })
}

/** The SDK's fetch gives up after 300 seconds; here after one, for whoever uses it. */
const impatientFetch = Effect.acquireRelease(
  Effect.sync(() => {
    const usual = getGlobalDispatcher()
    const agent = new Agent({ bodyTimeout: 1_000 })
    setGlobalDispatcher(agent)
    return { agent, usual }
  }),
  ({ agent, usual }) => {
    setGlobalDispatcher(usual)
    return Effect.promise(() => agent.destroy())
  }
)

const H2: Row = {
  holds: "H2 a tool may be silent for longer than fetch likes",
  sdk: "its answer is lost",
  run: Effect.fnUntraced(function* (subject) {
    yield* impatientFetch
    const { server } = yield* serve(
      tools({
        silent: (exchange) => {
          const response = stream(exchange, ": here\n\n")
          setTimeout(() => response.end(event(exchange, say("done"))), 2_500)
        }
      })
    )
    const client = yield* subject.open(server)
    const silent = yield* outcome(client.start("silent", {}, { idle: 4_000 }))
    yield* must(silent._tag === "Answered", "its answer is lost")
  })
}

const H3: Row = {
  holds: "H3 the streams of calls that were given up are closed",
  sdk: "3 are open",
  run: Effect.fnUntraced(function* (subject) {
    let open = 0
    const { server } = yield* serve(
      tools({
        endless: (exchange) => {
          open++
          stream(exchange, ": here\n\n").on("close", () => open--)
        }
      })
    )
    const client = yield* subject.open(server)
    const calls = yield* Effect.forEach(["one", "two", "three"], () => client.start("endless"))
    yield* eventually(
      Effect.sync(() => open),
      (count) => count === 3
    )
    for (const one of calls) yield* one.cancel
    const closed = eventually(
      Effect.sync(() => open),
      (count) => count === 0
    )
    yield* must(Option.isSome(yield* Effect.timeoutOption(closed, "1 second")), `${open} are open`)
  })
}

const H6: Row = {
  holds: "H6 a stream that the server ends again and again is not asked for without a pause",
  sdk: "it is asked for without a pause",
  run: Effect.fnUntraced(function* (subject) {
    const { seen, server } = yield* serve({ GET: (exchange) => stream(exchange, "retry: 0\nid: 1\ndata:\n\n").end() })
    yield* subject.open(server)
    const storm = eventually(
      Effect.sync(() => seen("GET")),
      (count) => count > 15
    )
    yield* must(Option.isNone(yield* Effect.timeoutOption(storm, "2 seconds")), "it is asked for without a pause")
  })
}

/** Of the timers that are set from now on, those of a second and more that keep the process alive. */
const watchTimers = Effect.acquireRelease(
  Effect.sync(() => {
    const running = new Set<NodeJS.Timeout | undefined>()
    const { clearTimeout, setTimeout } = globalThis
    const set = (callback: () => void, millis = 0) => {
      const timer = setTimeout(() => {
        running.delete(timer)
        callback()
      }, millis)
      if (millis >= 1_000) running.add(timer)
      return timer
    }
    const clear = (timer: NodeJS.Timeout | undefined) => {
      running.delete(timer)
      clearTimeout(timer)
    }
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear })
    const left = () => [...running].filter((timer) => timer?.hasRef() === true).length
    return { left, usual: { clearTimeout, setTimeout } }
  }),
  ({ usual }) => Effect.sync(() => Object.assign(globalThis, usual))
)

const H7: Row = {
  holds: "H7 no timer is left of the streams that were to be opened again",
  sdk: "timers are left",
  run: Effect.fnUntraced(function* (subject) {
    let ended = 0
    const { server } = yield* serve(
      tools({
        resumable: (exchange) => stream(exchange, "retry: 1500\nid: 1\ndata:\n\n").end(() => ended++),
        after: (exchange) => setTimeout(() => answer(exchange, say("done")), 300)
      })
    )
    const { left } = yield* watchTimers
    yield* Effect.scoped(
      Effect.gen(function* () {
        const client = yield* subject.open(server)
        yield* Effect.forEach(["one", "two", "three"], () => client.start("resumable"))
        yield* eventually(
          Effect.sync(() => ended),
          (count) => count === 3
        )
        // When it is answered, the client has seen the ends before: of two at least, of which one timer is forgotten.
        yield* outcome(client.start("after"))
        yield* client.close
      })
    )
    yield* must(left() === 0, "timers are left")
  })
}

const H8: Row = {
  holds: "H8 changes are heard of again when a server that lost its stream is back",
  sdk: "nothing is heard any more, and nobody told",
  run: Effect.fnUntraced(function* (subject) {
    let streams = 0
    const { server } = yield* serve({
      GET: (exchange) => {
        streams++
        if (streams === 1)
          return void stream(exchange, `retry: 50\n${notice("notifications/resources/list_changed")}`).end()
        if (streams < 4) return status(503)(exchange)
        return void stream(exchange, notice("notifications/tools/list_changed"))
      }
    })
    let heard = false
    const client = yield* subject.open(server, { onToolsChanged: () => (heard = true) })
    const news = eventually(
      Effect.sync(() => heard || client.hasEnded()),
      (news) => news
    )
    const found = "nothing is heard any more, and nobody told"
    yield* must(Option.isSome(yield* Effect.timeoutOption(news, "9 seconds")), found)
  })
}

const H9: Row = {
  holds: "H9 a connection whose session the server has forgotten is over",
  sdk: "it goes on with the session",
  run: Effect.fnUntraced(function* (subject) {
    const { server } = yield* serve({ "tools/call": status(404) })
    const client = yield* subject.open(server)
    yield* outcome(client.start("any"))
    const ended = eventually(Effect.sync(client.hasEnded), (ended) => ended)
    yield* must(Option.isSome(yield* Effect.timeoutOption(ended, "1 second")), "it goes on with the session")
  })
}

const H10: Row = {
  holds: "H10 a close takes no longer than its limit when the server does not answer",
  sdk: "it waits for the server",
  run: Effect.fnUntraced(function* (subject) {
    const { server } = yield* serve({ DELETE: () => {} })
    const client = yield* subject.open(server, { closeTimeout: "300 millis", sdk: { endsSession: true } })
    yield* must(Option.isSome(yield* Effect.timeoutOption(client.close, "2 seconds")), "it waits for the server")
  })
}

const H11: Row = {
  holds: "H11 a call whose stream cannot be resumed fails at once",
  sdk: "it waits for its limit",
  run: Effect.fnUntraced(function* (subject) {
    const { server } = yield* serve({
      ...tools({ resumable: (exchange) => stream(exchange, "retry: 10\nid: 1\ndata:\n\n").end() }),
      GET: status(405)
    })
    const client = yield* subject.open(server)
    const { millis } = yield* timed(outcome(client.start("resumable", {}, call)))
    yield* must(millis < 2_000, "it waits for its limit")
  })
}

const H12 = (form: "JSON" | "events", send: (exchange: Exchange, result: unknown) => void): Row => ({
  holds: `H12 an answer of 17 MiB is refused, and the connection usable: ${form}`,
  sdk: "it is taken",
  run: Effect.fnUntraced(function* (subject) {
    const { server } = yield* serve(
      tools({
        huge: (exchange) => send(exchange, say("x".repeat(17 * 1024 * 1024))),
        small: (exchange) => send(exchange, say("small"))
      })
    )
    const client = yield* subject.open(server)
    const huge = yield* outcome(client.start("huge"))
    yield* must(huge._tag === "Failed", "it is taken")
    const small = yield* outcome(client.start("small"))
    yield* must(small._tag === "Answered", "the connection is not usable")
  })
})

rows(
  H1,
  H1list,
  H3,
  H6,
  H8,
  H9,
  H10,
  H11,
  H12("JSON", answer),
  H12("events", (exchange, result) => stream(exchange, event(exchange, result)).end())
)
rowsAlone(H2, H7)
