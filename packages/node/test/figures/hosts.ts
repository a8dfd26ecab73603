/** How long a host takes to end, whatever ends it, and how long its servers outlive it. */
import { Effect } from "effect"
import { host, type Program, worst } from "../host.ts"
import { alive, eventually } from "../system.ts"
import { millis, none } from "./Figure.ts"

const servers = [[], worst]

/** In good order: it is gone, and so is all it has started. */
const inOrder = Effect.fnUntraced(function* (what: string, program: Program, signal?: NodeJS.Signals) {
  const { child, ended, said, tag } = yield* host(program)
  const known =
    signal === undefined || program.servers.some((manners) => manners.includes("mute"))
      ? yield* eventually(alive(tag), (seen) => seen.length >= program.servers.length, "60 seconds")
      : yield* Effect.andThen(said("ready"), alive(tag))
  if (signal === undefined) yield* said("ready")
  const since = performance.now()
  if (signal !== undefined) child.kill(signal)
  yield* ended
  const took = performance.now() - since
  return [millis(`host gone after ${what}`, took, 6_000), none(`left after ${what}`, (yield* alive(tag, known)).length)]
}, Effect.scoped)

const secondSignal = Effect.gen(function* () {
  const { child, ended, said, tag } = yield* host({ servers })
  yield* said("ready")
  const known = yield* alive(tag)
  child.kill("SIGINT")
  yield* said("Closing all MCP connections")
  // Signals closer to each other are one.
  yield* Effect.sleep("400 millis")
  const since = performance.now()
  child.kill("SIGINT")
  yield* ended
  const took = performance.now() - since
  const what = "a second signal"
  return [millis(`host gone after ${what}`, took, 1_000), none(`left after ${what}`, (yield* alive(tag, known)).length)]
}).pipe(Effect.scoped)

/** Without a word: the servers are gone soon after it. */
const abrupt = Effect.fnUntraced(function* (what: string, program: Program, signal?: NodeJS.Signals) {
  const { child, ended, said, tag } = yield* host(program, ["--max-old-space-size=96"])
  yield* said("ready")
  const known = yield* alive(tag)
  if (signal !== undefined) child.kill(signal)
  yield* ended
  const since = performance.now()
  yield* eventually(alive(tag, known), (seen) => seen.length === 0)
  return [millis(`nothing left after ${what}`, performance.now() - since, 3_000)]
}, Effect.scoped)

export const hosts = Effect.map(
  Effect.all(
    [
      inOrder("SIGINT", { servers }, "SIGINT"),
      inOrder("SIGTERM", { servers }, "SIGTERM"),
      inOrder("SIGHUP", { servers }, "SIGHUP"),
      inOrder("a failing body", { servers, act: "fail" }),
      inOrder("an uncaught error", { servers, act: "throw" }),
      inOrder("a signal during connect", { servers: [["mute"], ["mute", "ignore-end", "ignore-term"]] }, "SIGTERM"),
      secondSignal,
      abrupt("process.exit", { servers, act: "exit" }),
      abrupt("SIGKILL", { servers }, "SIGKILL"),
      abrupt("out of memory", { servers, act: "heap" })
    ],
    { concurrency: 2 }
  ),
  (figures) => figures.flat()
)
