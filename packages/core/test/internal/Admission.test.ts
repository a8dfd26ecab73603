import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, References, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Admission from "../../src/internal/Admission.ts"
import * as DeadlineWheel from "../../src/internal/DeadlineWheel.ts"

const make = (limits: Partial<Admission.Limits> = {}) =>
  Effect.map(DeadlineWheel.make, (wheel) => {
    const gate = Admission.make(
      {
        scope: "Server",
        maxConcurrency: 1,
        maxWaiting: 1_000,
        overload: "suspend",
        acquireTimeout: Duration.seconds(30),
        ...limits
      },
      wheel
    )
    const take = Effect.uninterruptibleMask((restore) => gate.take("s", 30_000, restore))
    return { gate, take }
  })

describe("Admission", () => {
  it.effect("serves who waits first, and lets nobody overtake", () =>
    Effect.gen(function* () {
      const { gate, take } = yield* make()
      const served: Array<number> = []
      yield* take
      for (let i = 0; i < 5; i++)
        yield* Effect.forkChild(
          Effect.andThen(
            take,
            Effect.sync(() => served.push(i))
          )
        )
      yield* Effect.yieldNow
      assert.strictEqual(gate.waiting(), 5)
      for (let i = 0; i < 5; i++) {
        gate.leave()
        // The place is promised already, so it is not free in between.
        assert.isFalse(gate.tryTake())
        yield* Effect.yieldNow
      }
      assert.deepStrictEqual(served, [0, 1, 2, 3, 4])
      assert.strictEqual(gate.running(), 1)
    })
  )

  it.effect("hands a place on whose owner was interrupted before it was told of it", () =>
    Effect.gen(function* () {
      const { gate, take } = yield* make()
      yield* take
      const handOn = Effect.sync(() => {
        gate.leave()
        second.interruptUnsafe()
      })
      yield* Effect.forkChild(Effect.andThen(take, handOn), { startImmediately: true })
      const second: Fiber.Fiber<void, unknown> = yield* Effect.forkChild(take, { startImmediately: true })
      gate.leave()
      yield* Fiber.await(second)
      assert.strictEqual(gate.running(), 0)
    })
  )

  it.effect("refuses at once when it is full, if it is told to reject", () =>
    Effect.gen(function* () {
      const { take } = yield* make({ overload: "reject" })
      yield* take
      const { reason } = yield* Effect.flip(take)
      assert.deepInclude(reason, { _tag: "Overloaded", scope: "Server", running: 1, waiting: 0, delivery: "NotSent" })
    })
  )

  it.effect("lets no more wait than maxWaiting", () =>
    Effect.gen(function* () {
      const { gate, take } = yield* make({ maxWaiting: 2 })
      yield* take
      for (let i = 0; i < 2; i++) yield* Effect.forkChild(take)
      yield* Effect.yieldNow
      assert.deepInclude((yield* Effect.flip(take)).reason, { _tag: "Overloaded", waiting: 2 })
      assert.strictEqual(gate.waiting(), 2)
    })
  )

  it.effect("gives up a wait exactly at its limit, and takes no place then", () =>
    Effect.gen(function* () {
      const { gate, take } = yield* make()
      yield* take
      const waiting = yield* Effect.forkChild(Effect.flip(take))
      yield* TestClock.adjust(29_999)
      assert.strictEqual(gate.waiting(), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "AcquireTimeout")
      gate.leave()
      assert.deepStrictEqual([gate.running(), gate.waiting()], [0, 0])
    })
  )

  it.effect("serves thousands who wait without growing the stack", () =>
    Effect.gen(function* () {
      const { gate, take } = yield* make({ maxWaiting: 5_000 })
      yield* take
      const fibers = yield* Effect.forEach(Array.from({ length: 5_000 }), () =>
        Effect.forkChild(Effect.andThen(take, Effect.sync(gate.leave)))
      )
      yield* Effect.yieldNow
      gate.leave()
      yield* Fiber.joinAll(fibers)
      assert.strictEqual(gate.running(), 0)
    })
  )

  const Step = Schema.Struct({
    do: Schema.Literals(["take", "take", "take", "release", "interrupt", "interrupt", "wait", "turn"]),
    who: Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it.effect.prop(
    "loses and doubles no place, whoever takes, leaves, is interrupted or gives up",
    [Schema.Array(Step), Schema.Literals([1, 2, 3]), Schema.Literals([2, 3, 5, 2_048])],
    ([steps, maxConcurrency, opsBeforeYield]) =>
      Effect.gen(function* () {
        const { gate } = yield* make({ maxConcurrency })
        const held = new Set<() => void>()
        let inside = 0
        let most = 0
        const work = Effect.uninterruptibleMask(
          (restore) =>
            Effect.flatMap(Effect.exit(gate.take("s", 5, restore)), (exit) => {
              if (Exit.isFailure(exit)) return exit
              most = Math.max(most, ++inside)
              return Effect.ensuring(
                restore(
                  Effect.callback<void>((resume) => {
                    const done = () => resume(Effect.void)
                    held.add(done)
                    return Effect.sync(() => held.delete(done))
                  })
                ),
                Effect.sync(() => {
                  inside--
                  gate.leave()
                })
              )
            })
          // A fibre that may yield between any two steps is interrupted between any two steps.
        ).pipe(Effect.provideService(References.MaxOpsBeforeYield, opsBeforeYield))
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        const pick = <A>(all: Iterable<A>, who: number): A | undefined => [...all].at(-1 - who) ?? [...all].at(0)
        for (const step of steps) {
          switch (step.do) {
            case "take":
              fibers.push(yield* Effect.forkDetach(work))
              break
            case "release": {
              const done = pick(held, step.who)
              if (done !== undefined) {
                held.delete(done)
                done()
              }
              break
            }
            case "interrupt":
              pick(fibers, step.who)?.interruptUnsafe()
              break
            case "wait":
              yield* TestClock.adjust(step.who)
              break
            case "turn":
              yield* Effect.yieldNow
          }
          assert.isAtMost(gate.running(), maxConcurrency)
        }
        for (const fiber of fibers) fiber.interruptUnsafe()
        yield* Effect.forEach(fibers, Fiber.await)
        assert.isAtMost(most, maxConcurrency)
        assert.deepStrictEqual([inside, gate.running(), gate.waiting()], [0, 0, 0])
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 3_000 }, timeout: 5_000 }
  )
})
