import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as DeadlineWheel from "../../src/internal/DeadlineWheel.ts"

/** Notes what expired, and when. */
const recorder = (wheel: DeadlineWheel.DeadlineWheelService) => {
  const seen: Array<readonly [name: string, at: number]> = []
  return { seen, note: (name: string) => ({ expire: () => void seen.push([name, wheel.now()]) }) }
}

/** Counts the sleeps that are under way on the clock. */
const countingClock = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const asleep = { now: 0, most: 0 }
  const counting: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
    sleep: (duration: Parameters<Clock.Clock["sleep"]>[0]) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          asleep.most = Math.max(asleep.most, ++asleep.now)
        }),
        () => clock.sleep(duration),
        () => Effect.sync(() => asleep.now--)
      )
  })
  return { asleep, counting }
})

describe("DeadlineWheel", () => {
  it.effect("expires deadlines in the order of their times, each exactly at its time", () =>
    Effect.gen(function* () {
      const wheel = yield* DeadlineWheel.make
      const { note, seen } = recorder(wheel)
      wheel.after(300, note("c"))
      wheel.after(100, note("a"))
      wheel.after(200, note("b"))
      wheel.after(100, note("a2"))
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(seen, [])
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(seen, [
        ["a", 100],
        ["a2", 100],
        ["b", 200],
        ["c", 300]
      ])
    })
  )

  it.effect("wakes for an earlier deadline that is set while it sleeps", () =>
    Effect.gen(function* () {
      const wheel = yield* DeadlineWheel.make
      const { note, seen } = recorder(wheel)
      wheel.after(1_000, note("late"))
      yield* TestClock.adjust(100)
      wheel.after(50, note("early"))
      yield* TestClock.adjust(50)
      assert.deepStrictEqual(seen, [["early", 150]])
      yield* TestClock.adjust(850)
      assert.deepStrictEqual(seen.at(-1), ["late", 1_000])
    })
  )

  it.effect("does not expire what was cancelled, and cancelling twice or too late is harmless", () =>
    Effect.gen(function* () {
      const wheel = yield* DeadlineWheel.make
      const { note, seen } = recorder(wheel)
      const cancel = wheel.after(100, note("cancelled"))
      const expired = wheel.after(50, note("expired"))
      wheel.after(100, note("kept"))
      cancel()
      cancel()
      yield* TestClock.adjust(75)
      expired()
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(
        seen.map(([name]) => name),
        ["expired", "kept"]
      )
    })
  )

  it.effect("loses no later deadline to one that is cancelled twice", () =>
    Effect.gen(function* () {
      const wheel = yield* DeadlineWheel.make
      const { note, seen } = recorder(wheel)
      wheel.after(100, note("a"))
      const cancel = wheel.after(100, note("b"))
      cancel()
      wheel.after(100, note("c"))
      cancel()
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(
        seen.map(([name]) => name),
        ["a", "c"]
      )
    })
  )

  it.effect("keeps ten thousand deadlines of many lengths apart", () =>
    Effect.gen(function* () {
      const wheel = yield* DeadlineWheel.make
      let wrong = 0
      let expired = 0
      for (let i = 0; i < 10_000; i++) {
        const length = 1 + ((i * 7919) % 500)
        const cancel = wheel.after(length, {
          expire: () => {
            expired++
            if (wheel.now() !== length) wrong++
          }
        })
        if (i % 3 === 0) cancel()
      }
      yield* TestClock.adjust(500)
      assert.deepStrictEqual({ expired, wrong }, { expired: 6_666, wrong: 0 })
    })
  )

  it.effect("expires what is due at once, and goes on working after it", () =>
    Effect.gen(function* () {
      const wheel = yield* DeadlineWheel.make
      const { note, seen } = recorder(wheel)
      wheel.after(0, note("now"))
      wheel.after(10, note("next"))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(seen, [
        ["now", 0],
        ["next", 10]
      ])
    })
  )

  it.effect("keeps a deadline of the same length that is set while another of them expires", () =>
    Effect.gen(function* () {
      const wheel = yield* DeadlineWheel.make
      const { note, seen } = recorder(wheel)
      wheel.after(100, {
        expire: () => {
          cancelOther()
          wheel.after(100, note("again"))
        }
      })
      const cancelOther = wheel.after(100, note("other"))
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(seen, [["again", 200]])
    })
  )

  it.effect("sleeps in one fibre at most, also when deadlines set deadlines, and in none after its scope", () =>
    Effect.gen(function* () {
      const { asleep, counting } = yield* countingClock
      const scope = yield* Scope.make()
      const wheel = yield* DeadlineWheel.make.pipe(Scope.provide(scope), Effect.provideService(Clock.Clock, counting))
      const again = () => void wheel.after(100, { expire: again })
      for (let i = 0; i < 5; i++) wheel.after(100 + i, { expire: again })
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(asleep, { now: 1, most: 1 })
      yield* Scope.close(scope, Exit.void)
      wheel.after(100, { expire: again })
      assert.strictEqual(asleep.now, 0)
    })
  )

  it.effect("does not go to sleep again when what expires closes its scope", () =>
    Effect.gen(function* () {
      const { asleep, counting } = yield* countingClock
      const scope = yield* Scope.make()
      const wheel = yield* DeadlineWheel.make.pipe(Scope.provide(scope), Effect.provideService(Clock.Clock, counting))
      wheel.after(100, { expire: () => Effect.runFork(Scope.close(scope, Exit.void)) })
      wheel.after(200, { expire: () => {} })
      yield* TestClock.adjust(100)
      assert.strictEqual(asleep.now, 0)
    })
  )
})
