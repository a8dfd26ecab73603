import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { scopedMcp } from "./support/cli.ts"
import { server, write } from "./support/configuration.ts"

const steps = [
  "Open every server at once",
  "List the tools of all",
  "Call them",
  "Follow a long call",
  "Kill a server in the middle of a call",
  "Cancel a long call",
  "Close the pool",
  "Look what is left"
]

/** How long the tour may take: more than twice what it takes on an idle machine with two processors. */
const limit = 20_000

const seed = Number(process.env["SCOPED_MCP_SEED"] ?? Math.floor(Math.random() * 1_000_000))

/** A number from 0 to 1 for each run, the same ones for the same seed (mulberry32). */
const chance = (run: number): number => {
  let state = (seed + run * 0x6d2b79f5) >>> 0
  state = Math.imul(state ^ (state >>> 15), state | 1)
  state ^= state + Math.imul(state ^ (state >>> 7), state | 61)
  return ((state ^ (state >>> 14)) >>> 0) / 2 ** 32
}

describe("tour", () => {
  let length = 0

  it.live(
    "holds in every step within 20 seconds, on a plain pipe and without colours, and leaves nothing",
    () =>
      Effect.gen(function* () {
        const startedAt = performance.now()
        const { code, left, stderr, stdout } = yield* scopedMcp(["tour"])
        length = performance.now() - startedAt
        assert.strictEqual(stderr, "")
        assert.strictEqual(code, 0, stdout)
        const found = [...stdout.matchAll(/^ (\d)  (.+)$/gm)].map(([, , title]) => title)
        assert.deepStrictEqual(found, steps)
        assert.strictEqual(stdout.match(/^ ✓ {2}.+ · [\d.]+ m?s$/gm)?.length, steps.length)
        assert.match(stdout, /– search +disabled: the variable TAVILY_API_KEY is not set/)
        assert.match(stdout, /ConnectionLost, delivery OutcomeUnknown/)
        assert.notInclude(stdout, "✗")
        assert.notInclude(stdout, "\u001B")
        assert.isBelow(length, limit)
        assert.deepStrictEqual(left, [])
      }),
    limit + 5000
  )

  it.live("says which step did not hold, exits 1, and leaves nothing all the same", () =>
    Effect.gen(function* () {
      const file = yield* write({ files: server(), everything: server() })
      const { code, left, stderr, stdout } = yield* scopedMcp(["tour", "--config", file])
      assert.strictEqual(code, 1)
      assert.match(stderr, /^scoped-mcp: step 1 of the tour, "Open every server at once", did not hold: .*search.*\n$/)
      assert.match(stdout, /^ ✗ {2}"search" alone should be disabled/m)
      assert.match(stdout, /^ ✓ {2}nothing is left/m)
      assert.deepStrictEqual(left, [])
    })
  )

  const runs = 12

  it.live(
    `ends within 6 seconds of Ctrl-C at any moment, with nothing left (SCOPED_MCP_SEED=${seed})`,
    () =>
      Effect.gen(function* () {
        // One moment out of each twelfth of the tour, so that every step is met.
        const moments = Array.from({ length: runs }, (_, run) => ((run + chance(run)) / runs) * length)
        const outcomes = yield* Effect.forEach(
          moments,
          (moment) =>
            // The one sleep of these tests: the moment itself is their subject.
            Effect.map(scopedMcp(["tour"], { interruptWhen: Effect.sleep(moment) }), (outcome) => ({
              moment,
              ...outcome
            })),
          { concurrency: 2 }
        )
        for (const { code, endedIn, left, moment, signal, stderr } of outcomes) {
          const about = `interrupted after ${Math.round(moment)} ms, ended ${endedIn} ms later with ${code ?? signal}: ${stderr}`
          assert.deepStrictEqual(left, [], about)
          // The last moments may come after the end.
          if (endedIn === undefined) continue
          assert.isBelow(endedIn, 6000, about)
          // Before the program itself runs, the signal ends the bare process.
          assert.isTrue(code === 130 || signal === "SIGINT" || code === 0, `${about} code ${code}`)
          if (code === 130) assert.strictEqual(stderr, "scoped-mcp: interrupted; all servers are closed\n", about)
        }
        // The scan would see processes, if there were any.
        assert.isAbove(Math.max(...outcomes.map(({ before }) => before)), 5)
        const worst = Math.max(...outcomes.map(({ endedIn }) => endedIn ?? 0))
        yield* Effect.log(`the slowest of ${runs} took ${Math.round(worst)} ms to end`)
      }),
    120_000
  )
})
