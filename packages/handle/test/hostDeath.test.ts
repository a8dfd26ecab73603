import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run, worst } from "../../node/test/host.ts"
import { alive, eventually, makeTag } from "../../node/test/system.ts"
import { host, hostScript, type Program, settings } from "./host.ts"

/** However abruptly a host ends: TERM at once, KILL a second later. */
const abrupt = 3_000

/** In good order a server has its whole limit. */
const inGoodOrder = 6_500

type Seen = Effect.Success<ReturnType<typeof alive>>

/** Until nothing carries the tag any more, nor any of those that were seen before. */
const gone = Effect.fnUntraced(function* (tag: string, before: Seen, limit: number) {
  const since = performance.now()
  yield* eventually(alive(tag, before), (seen) => seen.length === 0)
  // To look takes time as well.
  assert.isBelow(performance.now() - since, limit + 500, "the servers outlived their host too long")
})

/** Until the host is gone, and what it answered; nothing may be left at that moment. */
const end = Effect.fnUntraced(function* (program: Effect.Success<ReturnType<typeof host>>, limit: number) {
  const since = performance.now()
  const code = yield* program.ended
  assert.isBelow(performance.now() - since, limit, "the host ended too late")
  assert.deepStrictEqual(yield* alive(program.tag), [])
  return code
})

const servers = [[], worst]

describe.concurrent("a program in plain JavaScript", { timeout: 60_000 }, () => {
  it.live.each([
    ["succeed", 0],
    ["fail", 1],
    ["using", 0],
    ["exit", 7],
    ["throw", 1],
    ["reject", 1]
  ] as const)("leaves nothing when it ends by %s, with exit code %i", ([act, code]) =>
    Effect.gen(function* () {
      const program = yield* host({ servers, act, closeTimeout: "2 seconds" })
      yield* program.said("ready")
      assert.strictEqual(yield* end(program, inGoodOrder), code)
      const inOrder = act === "succeed" || act === "fail"
      assert.strictEqual(program.output.stdout.includes("All MCP connections closed"), inOrder)
    })
  )

  it.live.each([
    ["SIGINT", 130, [[], []]],
    ["SIGTERM", 143, [["ignore-end", "ignore-term"], worst]],
    ["SIGHUP", 129, [worst, []]]
  ] as const)("closes everything at %s without any set-up, and ends as by the signal (%i)", ([signal, code, servers]) =>
    Effect.gen(function* () {
      const program = yield* host({ servers })
      yield* program.said("ready")
      program.child.kill(signal)
      assert.strictEqual(yield* end(program, inGoodOrder), code)
      assert.include(program.output.stdout, "All MCP connections closed")
    })
  )

  it.live("closes at a signal and goes on, when it has a listener of its own", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [[], ["ignore-end"]], act: "listener" })
      yield* program.said("ready")
      program.child.kill("SIGTERM")
      assert.strictEqual(yield* end(program, inGoodOrder), 5)
      assert.include(program.output.stdout, "own listener")
      assert.include(program.output.stdout, "All MCP connections closed")
    })
  )

  it.live("does not wait any more at a second signal", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [worst] })
      yield* program.said("ready")
      program.child.kill("SIGTERM")
      yield* program.said("Closing all MCP connections")
      // The time between two signals is the subject: shorter, they would be one.
      yield* Effect.sleep("400 millis")
      program.child.kill("SIGINT")
      assert.strictEqual(yield* end(program, 1_500), 130)
    })
  )

  it.live("takes signals that come together as one", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [["ignore-end"]] })
      yield* program.said("ready")
      program.child.kill("SIGINT")
      program.child.kill("SIGTERM")
      assert.include([130, 143], yield* end(program, inGoodOrder))
      assert.include(program.output.stdout, "All MCP connections closed")
    })
  )

  it.live("leaves signals alone when it is told to, and the guard ends what is left", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers, signals: "off" })
      yield* program.said("ready")
      const before = yield* alive(program.tag)
      program.child.kill("SIGTERM")
      assert.strictEqual(yield* program.ended, 143)
      yield* gone(program.tag, before, abrupt)
      assert.notInclude(program.output.stdout, "Closing")
    })
  )

  it.live("ends servers that are still in their handshake", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [["mute"], ["mute", "ignore-end", "ignore-term"]] })
      yield* eventually(alive(program.tag), (seen) => seen.length === 2, "40 seconds")
      program.child.kill("SIGTERM")
      assert.strictEqual(yield* end(program, inGoodOrder), 143)
    })
  )

  it.live("ends without an error when it is left at any moment of a start", () =>
    Effect.forEach([0, 1, 2, 3], (turns) =>
      Effect.gen(function* () {
        const program = yield* host({ servers: [[], ["mute"]], act: "leave", turns })
        yield* program.said("connecting")
        const code = yield* end(program, 4_000)
        assert.strictEqual(`${code} ${program.output.stderr}`, "0 ")
      })
    )
  )

  it.live("leaves nothing when it is killed", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers })
      yield* program.said("ready")
      const before = yield* alive(program.tag)
      program.child.kill("SIGKILL")
      yield* gone(program.tag, before, abrupt)
    })
  )

  it.live("leaves nothing when it runs out of memory", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers, act: "heap" }, ["--max-old-space-size=96"])
      yield* program.said("ready")
      const before = yield* alive(program.tag)
      assert.strictEqual(yield* program.ended, 134)
      yield* gone(program.tag, before, abrupt)
    })
  )
})

describe.concurrent("a pool that nobody holds any more", { timeout: 60_000 }, () => {
  it.live("is reported and closed, and the program ends by itself", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [[], ["ignore-end"]], act: "forget" }, ["--expose-gc"])
      yield* program.said("ready")
      assert.strictEqual(yield* end(program, 10_000), 0)
      assert.include(program.output.stdout, 'warning SCOPED_MCP_FORGOTTEN The pool "default" was dropped')
      assert.include(program.output.stdout, "All MCP connections closed")
    })
  )

  it.live.each([
    ["its events are read", "listen"],
    ["somebody has its tools", "tools"],
    ["a conversation goes on", "chat"]
  ] as const)("stays open as long as %s", ([, act]) =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [[]], act }, ["--expose-gc"])
      yield* program.said("still open")
      assert.strictEqual(yield* end(program, inGoodOrder), 0)
      assert.notInclude(program.output.stdout, "Closing")
    })
  )
})

/** Two hosts inside one program; the first of them ends as `act` says, or as the program is told. */
const two = Effect.fnUntraced(function* (how: "thread" | "cluster" | "child", act: Program["act"] = "wait") {
  const tags = [makeTag(), makeTag()] as const
  const hosts = [settings({ servers, act }, tags[0]), settings({ servers: [["ignore-end"]] }, tags[1])]
  const program = yield* run("parent.mjs", JSON.stringify({ how, hosts, script: hostScript }))
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

describe.concurrent("pools of their own inside another program", { timeout: 60_000 }, () => {
  it.live.each([
    ["thread", "terminate"],
    ["cluster", "kill"],
    ["child", "kill"]
  ] as const)("(%s) leave nothing after %s, and the servers of another there live on", ([how, verb]) =>
    Effect.gen(function* () {
      const { before, said, tags, tell } = yield* two(how)
      yield* tell(`0 ${verb}`)
      yield* said("0 exit")
      yield* gone(tags[0], before[0], abrupt)
      assert.lengthOf(yield* alive(tags[1], before[1]), 1)
    })
  )

  it.live.each([
    ["thread", "succeed", 0],
    ["thread", "exit", 7],
    ["thread", "throw", 1],
    ["cluster", "exit", 7],
    ["child", "reject", 1]
  ] as const)("(%s) leave nothing when they end by %s, with exit code %i", ([how, act, code]) =>
    Effect.gen(function* () {
      const { before, said, tags } = yield* two(how, act)
      yield* said(`0 exit ${code}`)
      yield* gone(tags[0], before[0], abrupt)
      assert.lengthOf(yield* alive(tags[1], before[1]), 1)
    })
  )

  it.live("(cluster) are closed in good order by a worker that is told to disconnect", () =>
    Effect.gen(function* () {
      const { before, output, said, tags, tell } = yield* two("cluster")
      yield* tell("0 disconnect")
      yield* said("0 exit 0")
      yield* gone(tags[0], before[0], 0)
      assert.include(output.stdout, "All MCP connections closed")
    })
  )

  it.live("(cluster) leave nothing when the primary is killed", () =>
    Effect.gen(function* () {
      const { before, child, tags } = yield* two("cluster")
      child.kill("SIGKILL")
      yield* gone(tags[0], before[0], inGoodOrder)
      yield* gone(tags[1], before[1]!, inGoodOrder)
    })
  )
})
