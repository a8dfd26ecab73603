import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { host, type Program, run, settings, worst } from "./host.ts"
import { alive, eventually, makeTag } from "./system.ts"

/** However abruptly a host ends: TERM at once, KILL a second later. */
const abrupt = 3_000

/** In good order a server has its whole limit. */
const inGoodOrder = 6_000

/** Until nothing carries the tag any more, nor any of those that were seen before. */
const gone = Effect.fnUntraced(function* (
  tag: string,
  before: Effect.Success<ReturnType<typeof alive>>,
  limit: number
) {
  const since = performance.now()
  yield* eventually(alive(tag, before), (seen) => seen.length === 0)
  // To look takes time as well.
  assert.isBelow(performance.now() - since, limit + 500, "the servers outlived their host too long")
})

const servers = [[], worst]

describe.concurrent("a host that ends without a word", { timeout: 60_000 }, () => {
  it.live("leaves nothing when it runs out of memory", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers, act: "heap" }, ["--max-old-space-size=96"])
      yield* program.said("ready")
      const before = yield* alive(program.tag)
      assert.strictEqual(yield* program.ended, 134)
      assert.include(program.output.stderr, "heap out of memory")
      yield* gone(program.tag, before, abrupt)
    })
  )

  it.live("leaves nothing when NodeRuntime.runMain knows no handler for its signal", () =>
    Effect.gen(function* () {
      const program = yield* host({ run: "NodeRuntime", servers })
      yield* program.said("ready")
      const before = yield* alive(program.tag)
      program.child.kill("SIGHUP")
      assert.strictEqual(yield* program.ended, 129)
      yield* gone(program.tag, before, abrupt)
    })
  )

  it.live("leaves nothing when an error meets nobody under NodeRuntime.runMain", () =>
    Effect.gen(function* () {
      const program = yield* host({ run: "NodeRuntime", servers, act: "throw" })
      yield* program.said("ready")
      const before = yield* alive(program.tag)
      assert.strictEqual(yield* program.ended, 1)
      yield* gone(program.tag, before, abrupt)
    })
  )
})

/** Two hosts inside one program; the first of them ends as `act` says, or as the program is told. */
const two = Effect.fnUntraced(function* (how: "thread" | "cluster" | "child", act: Program["act"] = "wait") {
  const tags = [makeTag(), makeTag()] as const
  const hosts = [settings({ servers, act }, tags[0]), settings({ servers: [["ignore-end"]] }, tags[1])]
  const program = yield* run("parent.mjs", JSON.stringify({ how, hosts }))
  const tell = (line: string) => Effect.sync(() => program.child.stdin!.write(`${line}\n`))
  // A child process lives on without its parent.
  yield* Effect.addFinalizer(() =>
    Effect.forEach(tags, (tag, number) =>
      Effect.andThen(
        tell(`${number} ${how === "thread" ? "terminate" : "kill"}`),
        eventually(alive(tag), (seen) => seen.length === 0)
      )
    )
  )
  yield* program.said("ready", 2)
  const before = yield* Effect.forEach(tags, (tag) => alive(tag))
  assert.lengthOf(before[1]!, 1)
  return { ...program, tags, before, tell }
})

describe.concurrent("a host inside another program", { timeout: 60_000 }, () => {
  it.live.each([
    ["thread", "terminate"],
    ["cluster", "kill"],
    ["child", "kill"]
  ] as const)("(%s) leaves nothing after %s, and the servers of another there live on", ([how, verb]) =>
    Effect.gen(function* () {
      const { before, said, tags, tell } = yield* two(how)
      yield* tell(`0 ${verb}`)
      yield* said("0 exit")
      yield* gone(tags[0], before[0], abrupt)
      assert.lengthOf(yield* alive(tags[1], before[1]), 1)
      yield* tell(`1 ${verb}`)
      yield* said("1 exit")
      yield* gone(tags[1], before[1]!, abrupt)
    })
  )

  it.live.each([
    ["thread", "succeed", 0],
    ["thread", "exit", 7],
    ["thread", "throw", 1],
    ["cluster", "exit", 7],
    ["child", "reject", 1]
  ] as const)("(%s) leaves nothing when it ends by %s, with exit code %i", ([how, act, code]) =>
    Effect.gen(function* () {
      const { before, said, tags } = yield* two(how, act)
      yield* said(`0 exit ${code}`)
      yield* gone(tags[0], before[0], abrupt)
      assert.lengthOf(yield* alive(tags[1], before[1]), 1)
    })
  )

  it.live("(cluster) releases in good order when it is told to disconnect", () =>
    Effect.gen(function* () {
      const { before, output, said, tags, tell } = yield* two("cluster")
      const since = performance.now()
      yield* tell("0 disconnect")
      yield* said("0 exit 0")
      assert.isBelow(performance.now() - since, inGoodOrder + 500)
      assert.deepStrictEqual(yield* alive(tags[0], before[0]), [])
      assert.include(output.stdout, "All MCP connections closed")
    })
  )

  it.live("(cluster) leaves nothing when the primary is killed", () =>
    Effect.gen(function* () {
      const { before, child, tags } = yield* two("cluster")
      child.kill("SIGKILL")
      yield* gone(tags[0], before[0], abrupt)
      yield* gone(tags[1], before[1]!, abrupt)
    })
  )
})
