/** How long a host takes to end, whatever ends it, and how long its servers outlive it: on Effect, and in plain JavaScript. */
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { host, type Program, worst } from "../host.ts"
import { alive, eventually } from "../system.ts"
import { millis, none } from "./Figure.ts"

const servers = [[], worst]

interface Kind {
  readonly script: string
  readonly mark: string
}

const effect: Kind = { script: "host.mjs", mark: "" }
const plain: Kind = {
  script: fileURLToPath(new URL("../../../handle/test/fixtures/host.mjs", import.meta.url)),
  mark: ", plain JavaScript"
}

/** In good order: it is gone, and so is all it has started. */
const inOrder = Effect.fnUntraced(function* (kind: Kind, how: string, program: Program, signal?: NodeJS.Signals) {
  const what = how + kind.mark
  const { child, ended, said, tag } = yield* host(program, [], kind.script)
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

const secondSignal = Effect.fnUntraced(function* (kind: Kind) {
  const { child, ended, said, tag } = yield* host({ servers }, [], kind.script)
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
  const what = `a second signal${kind.mark}`
  return [millis(`host gone after ${what}`, took, 1_000), none(`left after ${what}`, (yield* alive(tag, known)).length)]
}, Effect.scoped)

/** Without a word: the servers are gone soon after it. */
const abrupt = Effect.fnUntraced(function* (kind: Kind, what: string, program: Program, signal?: NodeJS.Signals) {
  const { child, ended, said, tag } = yield* host(program, ["--max-old-space-size=96"], kind.script)
  yield* said("ready")
  const known = yield* alive(tag)
  if (signal !== undefined) child.kill(signal)
  yield* ended
  const since = performance.now()
  yield* eventually(alive(tag, known), (seen) => seen.length === 0)
  return [millis(`nothing left after ${what}${kind.mark}`, performance.now() - since, 3_000)]
}, Effect.scoped)

const all = (kind: Kind) => [
  inOrder(kind, "SIGINT", { servers }, "SIGINT"),
  inOrder(kind, "SIGTERM", { servers }, "SIGTERM"),
  inOrder(kind, "SIGHUP", { servers }, "SIGHUP"),
  inOrder(kind, "a failing body", { servers, act: "fail" }),
  inOrder(kind, "an uncaught error", { servers, act: "throw" }),
  inOrder(kind, "a signal during connect", { servers: [["mute"], ["mute", "ignore-end", "ignore-term"]] }, "SIGTERM"),
  secondSignal(kind),
  abrupt(kind, "process.exit", { servers, act: "exit" }),
  abrupt(kind, "SIGKILL", { servers }, "SIGKILL"),
  abrupt(kind, "out of memory", { servers, act: "heap" })
]

export const hosts = Effect.map(Effect.all([...all(effect), ...all(plain)], { concurrency: 2 }), (figures) =>
  figures.flat()
)
