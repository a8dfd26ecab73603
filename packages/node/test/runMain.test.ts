import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { host, worst } from "./host.ts"
import { alive, eventually } from "./system.ts"

/** Until the host is gone, and what it answered; nothing may be left at that moment. */
const end = Effect.fnUntraced(function* (
  program: Effect.Success<ReturnType<typeof host>>,
  since: number,
  limit: number
) {
  const code = yield* program.ended
  assert.isBelow(performance.now() - since, limit, "the host ended too late")
  assert.deepStrictEqual(yield* alive(program.tag), [])
  return code
})

// Each is a program of its own, and mostly waits.
describe.concurrent("runMain", { timeout: 60_000 }, () => {
  it.live.each([
    ["succeed", 0],
    ["fail", 1],
    ["exit", 7],
    ["throw", 1],
    ["reject", 1]
  ] as const)("leaves nothing when the program ends by `%s`, with exit code %i", ([act, code]) =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [[], worst], act, closeTimeout: "2 seconds" })
      yield* program.said("ready")
      assert.strictEqual(yield* end(program, performance.now(), 6_500), code)
      // All but `process.exit` release in good order.
      assert.strictEqual(program.output.stdout.includes("All MCP connections closed"), act !== "exit")
      if (act === "throw") assert.include(program.output.stderr, "nobody caught this")
      if (act === "reject") assert.include(program.output.stderr, "nobody awaited this")
    })
  )

  it.live.each([
    ["SIGINT", 130, [[], []]],
    ["SIGTERM", 143, [["ignore-end", "ignore-term"], worst]],
    ["SIGHUP", 129, [worst, []]]
  ] as const)("ends everything at %s and exits with %i", ([signal, code, servers]) =>
    Effect.gen(function* () {
      const program = yield* host({ servers })
      yield* program.said("ready")
      program.child.kill(signal)
      assert.strictEqual(yield* end(program, performance.now(), 6_500), code)
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
      const since = performance.now()
      program.child.kill("SIGINT")
      assert.strictEqual(yield* end(program, since, 1_500), 130)
    })
  )

  it.live("takes signals that come together as one, as a launcher and a terminal send them", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [["ignore-end"]] })
      yield* program.said("ready")
      const since = performance.now()
      program.child.kill("SIGINT")
      program.child.kill("SIGTERM")
      assert.include([130, 143], yield* end(program, since, 6_500))
      assert.include(program.output.stdout, "All MCP connections closed")
    })
  )

  it.live(
    "ends at its limit though a release never does",
    () =>
      Effect.gen(function* () {
        const program = yield* host({ servers: [worst], act: "stuck" })
        yield* program.said("ready")
        program.child.kill("SIGTERM")
        assert.strictEqual(yield* end(program, performance.now(), 6_500), 143)
      }),
    15_000
  )

  it.live("ends servers that are still in their handshake", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [["mute"], ["mute", "ignore-end", "ignore-term"]] })
      yield* eventually(alive(program.tag), (seen) => seen.length === 2, "40 seconds")
      program.child.kill("SIGTERM")
      assert.strictEqual(yield* end(program, performance.now(), 6_500), 143)
    })
  )

  it.live("ends without an error when it is left at any moment of a spawn", () =>
    Effect.forEach([0, 1, 2, 3, 4, 5], (turns) =>
      Effect.gen(function* () {
        const program = yield* host({ servers: [[], ["mute"]], act: "leave", turns })
        yield* program.said("connecting")
        const code = yield* end(program, performance.now(), 4_000)
        assert.strictEqual(`${code} ${program.output.stderr}`, "0 ")
      })
    )
  )

  it.live("releases in good order though nobody reads its output any more", () =>
    Effect.gen(function* () {
      const program = yield* host({ servers: [["ignore-end", "ignore-term"]] })
      yield* program.said("ready")
      program.child.stdout!.destroy()
      program.child.stderr!.destroy()
      program.child.kill("SIGHUP")
      assert.strictEqual(yield* end(program, performance.now(), 6_500), 129)
    })
  )

  it.live("leaves nothing under NodeRuntime.runMain either, even of a server with a longer limit than its pool", () =>
    Effect.gen(function* () {
      const program = yield* host({ run: "NodeRuntime", servers: [worst], closeTimeout: "30 seconds" })
      yield* program.said("ready")
      program.child.kill("SIGTERM")
      assert.strictEqual(yield* end(program, performance.now(), 8_000), 130)
    })
  )
})
