/** P1–P4, P8–P13: requests, their limits and results. */
import { InMemoryResponseCacheStore } from "@modelcontextprotocol/client"
import { Effect } from "effect"
import { timed } from "../system.ts"
import { answer, serve, status } from "./HttpServer.ts"
import { Broken, must, type Row, rows } from "./Row.ts"
import { outcome, stdio } from "./Subject.ts"

const P1: Row = {
  holds: "P1 the longest time of a call holds though no progress comes",
  sdk: "it ends at its other limit",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    const { millis } = yield* timed(outcome(client.start("hang", {}, { total: 300, idle: 2_500 })))
    yield* must(millis < 2_000, "it ends at its other limit")
  })
}

const P2: Row = {
  holds: "P2 a server is told of a call that took too long",
  sdk: "it goes on working",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    const limits = { total: 200, idle: 2_000, onProgress: () => {} }
    yield* outcome(client.start("ticking", { name: "told" }, limits))
    const cancelled = yield* outcome(client.start("cancelled"))
    yield* must(cancelled._tag === "Answered" && cancelled.text === "told", "it goes on working")
  })
}

const P3: Row = {
  holds: "P3 a limit beyond that of a timer is a long one",
  sdk: "it is over at once",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    for (const limit of [Infinity, 2 ** 31]) {
      const slow = yield* outcome(client.start("slow", { millis: 100 }, { idle: limit, total: limit }))
      yield* must(slow._tag === "Answered", "it is over at once")
    }
  })
}

const P4: Row = {
  holds: "P4 who leaves and who waits too long are told apart",
  sdk: "both get REQUEST_TIMEOUT",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    const late = yield* outcome(client.start("hang", {}, { idle: 100 }))
    const left = yield* client.start("hang")
    yield* left.cancel
    const cancelled = yield* left.outcome
    const kinds = [late, cancelled].map((ended) => (ended._tag === "Failed" ? ended.kind : ended._tag))
    yield* must(kinds[0] !== kinds[1], `both get ${kinds[0]}`)
  })
}

const P8: Row = {
  holds: "P8 a server that asks is not told what went wrong in the handler",
  sdk: "it is told the password",
  run: Effect.fnUntraced(function* (subject) {
    const onQuestion = () => Promise.reject(new Error("no database at db:hunter2@example.com"))
    const client = yield* subject.open(stdio(), { onQuestion })
    const told = yield* outcome(client.start("ask", {}, { idle: 2_000 }))
    yield* must(told._tag === "Answered", "the server hears nothing")
    yield* must(!JSON.stringify(told).includes("hunter2"), "it is told the password")
  })
}

const P8nothing: Row = {
  holds: "P8 a server that asks is answered whatever becomes of the handler",
  sdk: "the server hears nothing",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio(), { onQuestion: () => Promise.reject(undefined) })
    const told = yield* outcome(client.start("ask", {}, { idle: 1_000 }))
    yield* must(told._tag === "Answered", "the server hears nothing")
  })
}

const P9changed: Row = {
  holds: "P9 a result is held against the schema that its tool has now",
  sdk: "it is held against an older one of the same $id",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    // Between the two lists the tool has changed what it gives.
    for (let look = 0; look < 2; look++) {
      yield* client.tools
      const result = yield* outcome(client.start("changing"))
      if (look === 1) yield* must(result._tag === "Answered", "it is held against an older one of the same $id")
    }
  })
}

const P9odd: Row = {
  holds: "P9 a tool can be called whatever the $id of its schema",
  sdk: "it cannot be called",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    yield* client.tools
    yield* client.tools
    const result = yield* outcome(client.start("odd"))
    yield* must(result._tag === "Answered", "it cannot be called")
  })
}

const P10: Row = {
  holds: "P10 servers of the same name and version do not share what they offer",
  sdk: "one has the tools of the other",
  run: Effect.fnUntraced(function* (subject) {
    const shared = { responseCacheStore: new InMemoryResponseCacheStore(), defaultCacheTtlMs: 60_000 }
    const names = yield* Effect.forEach(
      ["one", "two"],
      Effect.fnUntraced(function* (name) {
        const { server } = yield* serve({
          "tools/list": (exchange) => answer(exchange, { tools: [{ name, inputSchema: { type: "object" } }] })
        })
        const client = yield* subject.open(server, { sdk: { client: shared } })
        return (yield* client.tools).map((tool) => tool.name)
      })
    )
    yield* must(names.join() === "one,two", "one has the tools of the other")
  })
}

const P11: Row = {
  holds: "P11 a close ends the session on the server",
  sdk: "the session is left there",
  run: Effect.fnUntraced(function* (subject) {
    const { seen, server } = yield* serve({})
    const client = yield* subject.open(server)
    yield* client.close
    yield* must(seen("DELETE") === 1, "the session is left there")
  })
}

const P12: Row = {
  holds: "P12 a server of the new era is met there however slowly it starts",
  sdk: "it is taken for one of the old era, and cannot be opened",
  run: Effect.fnUntraced(function* (subject) {
    const negotiation = { versionNegotiation: { mode: "auto", probe: { timeoutMs: 300 } } } as const
    const found = "it is taken for one of the old era, and cannot be opened"
    const client = yield* Effect.mapError(
      subject.open(stdio("modern", "cold"), { sdk: { client: negotiation } }),
      () => new Broken({ message: found })
    )
    const echo = yield* outcome(client.start("echo", { text: "here" }))
    yield* must(echo._tag === "Answered" && echo.text === "here", "it answers nothing")
  })
}

const P13: Row = {
  holds: "P13 a server that meets the question for its era with 500 is used in the older one",
  sdk: "it cannot be opened",
  run: Effect.fnUntraced(function* (subject) {
    const { server } = yield* serve({ "server/discover": status(500) })
    yield* Effect.mapError(
      subject.open(server, { sdk: { client: { versionNegotiation: { mode: "auto" } } } }),
      () => new Broken({ message: "it cannot be opened" })
    )
  })
}

rows(P1, P2, P3, P4, P8, P8nothing, P9changed, P9odd, P10, P11, P12, P13)
