/** H4, H5, H13: tokens that run out, and who gives new ones. */
import { Effect, Option } from "effect"
import { eventually } from "../system.ts"
import { serveGuarded, serveTokens } from "./AuthServer.ts"
import { answer, say } from "./HttpServer.ts"
import { must, type Row, rows } from "./Row.ts"
import { outcome } from "./Subject.ts"

const client = (issuer: string) => ({ _tag: "Client", id: "nightly", secret: "kept-in-a-vault", issuer }) as const

const is = (holds: () => boolean) => eventually(Effect.sync(holds), (value) => value)

const H4: Row = {
  holds: "H4 a call whose caller has left is not sent again with the next token",
  sdk: "the tool runs",
  run: Effect.fnUntraced(function* (subject) {
    let runs = 0
    let give: (() => void) | undefined
    // The second token takes a while.
    const tokens = yield* serveTokens((number, at) => {
      if (number === 2) give = at
      else at()
    })
    const server = yield* serveGuarded({
      tokens: () => tokens,
      call: (exchange) => {
        if (exchange.params["name"] === "once") runs++
        answer(exchange, say("done"))
      }
    })
    const it = yield* subject.open(server, { auth: client(tokens.issuer) })
    yield* outcome(it.start("before"))
    tokens.revoke()
    const once = yield* it.start("once")
    yield* is(() => give !== undefined)
    yield* once.cancel
    yield* once.outcome
    give!()
    const ran = yield* Effect.timeoutOption(
      is(() => runs > 0),
      "1 second"
    )
    yield* must(Option.isNone(ran), "the tool runs")
    const after = yield* outcome(it.start("after"))
    yield* must(after._tag === "Answered", "nothing runs any more")
  })
}

const H5: Row = {
  holds: "H5 calls that meet the end of a token together ask for one",
  sdk: "they ask for 10",
  run: Effect.fnUntraced(function* (subject) {
    const tokens = yield* serveTokens()
    let together = false
    const refusals: Array<() => void> = []
    const server = yield* serveGuarded({
      tokens: () => tokens,
      call: (exchange) => answer(exchange, say("done")),
      refuse: (refuse) => {
        if (!together) refuse()
        else if (refusals.push(refuse) === 10) refusals.forEach((each) => each())
      }
    })
    const it = yield* subject.open(server, { auth: client(tokens.issuer) })
    yield* outcome(it.start("before"))
    const before = tokens.asked()
    together = true
    tokens.revoke()
    const calls = yield* Effect.forEach(Array.from({ length: 10 }), () => it.start("any"))
    const outcomes = yield* Effect.forEach(calls, (call) => call.outcome)
    const asked = tokens.asked() - before
    yield* must(asked === 1, `they ask for ${asked}`)
    yield* must(
      outcomes.every(({ _tag }) => _tag === "Answered"),
      "some are not answered"
    )
  })
}

const H13: Row = {
  holds: "H13 a server that has moved to another authorisation server is followed there",
  sdk: "the old one is asked",
  run: Effect.fnUntraced(function* (subject) {
    const [old, next] = [yield* serveTokens(), yield* serveTokens()]
    let tokens = old
    const server = yield* serveGuarded({
      tokens: () => tokens,
      call: (exchange) => answer(exchange, say("done"))
    })
    const it = yield* subject.open(server, { auth: { _tag: "Person" } })
    const before = yield* outcome(it.start("before"))
    yield* must(before._tag === "Answered", `nothing works: ${JSON.stringify(before)}`)
    const asked = old.asked()
    tokens = next
    const after = yield* outcome(it.start("after"))
    yield* must(old.asked() === asked, "the old one is asked")
    yield* must(after._tag === "Answered", `it is not followed: ${JSON.stringify(after)}`)
  })
}

rows(H4, H5, H13)
