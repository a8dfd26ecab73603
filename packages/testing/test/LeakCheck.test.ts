import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Ref, type Scope } from "effect"
import * as LeakCheck from "../src/LeakCheck.ts"

const settle = "150 millis"

/** Runs what leaves something behind, and tells what was found of the kind; what was planted goes with the test. */
const findings = <R>(
  plant: Effect.Effect<unknown, never, R>,
  kind: LeakCheck.Leak["kind"],
  options?: LeakCheck.Options
) =>
  LeakCheck.check(plant, { settle, ...options }).pipe(
    Effect.flip,
    Effect.map(({ leaks }) => leaks.filter((leak) => leak.kind === kind))
  )

/** Planted in the scope of the test, which is wider than the check. */
const planted = <A>(make: () => A, remove: (planted: A) => unknown) =>
  Effect.acquireRelease(Effect.sync(make), (planted) => Effect.sync(() => remove(planted)))

const exitOf = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    child.once("exit", () => resume(Effect.void))
  })

const sleeper = planted(
  () => spawn("sleep", ["60"], { stdio: "ignore" }),
  (child) => child.kill("SIGKILL")
)

/** A shell that ends at once; what it has started is known by the check alone. */
const orphan = (script: string, env: NodeJS.ProcessEnv = process.env) =>
  Effect.flatMap(
    Effect.sync(() => spawn("sh", ["-c", script], { stdio: "ignore", env })),
    exitOf
  )

const killAll = (leaks: ReadonlyArray<LeakCheck.Leak>) =>
  Effect.sync(() => {
    for (const { pid } of leaks) if (pid !== undefined) process.kill(pid, "SIGKILL")
  })

const orphans = (plant: Effect.Effect<void>) => Effect.acquireRelease(Effect.orDie(findings(plant, "Process")), killAll)

const listening = Effect.acquireRelease(
  Effect.callback<Server>((resume) => {
    const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

const connected = (server: Server) =>
  Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const socket = connect((server.address() as AddressInfo).port, "127.0.0.1")
      server.once("connection", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const only = (leaks: ReadonlyArray<LeakCheck.Leak>): LeakCheck.Leak => {
  assert.strictEqual(leaks.length, 1, JSON.stringify(leaks))
  return leaks[0]!
}

describe("LeakCheck", () => {
  it.effect("lets a clean scope pass", () =>
    LeakCheck.scoped(
      Effect.gen(function* () {
        yield* sleeper
        const server = yield* listening
        yield* connected(server)
        yield* planted(() => openSync("/dev/null", "r"), closeSync)
        yield* planted(() => setInterval(() => {}, 1000), clearInterval)
        yield* Effect.forkScoped(Effect.never)
      })
    )
  )

  it.effect("finds a child process, with its command line but without its arguments' values", () =>
    Effect.gen(function* () {
      const child = planted(
        () =>
          spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "--", "--token=hunter2", "hunter2"], {
            stdio: "ignore"
          }),
        (child) => child.kill("SIGKILL")
      )
      const leak = only(yield* findings(child, "Process"))
      assert.strictEqual(leak.what, `${leak.pid} ${process.execPath} -e <hidden> -- --token=<hidden> <hidden>`)
    })
  )

  it.effect("finds a grandchild that was handed to process 1", () =>
    Effect.gen(function* () {
      assert.match(only(yield* orphans(orphan("sleep 60 &"))).what, /sleep/)
    })
  )

  it.effect("finds a helper in a session of its own by its mark", () =>
    Effect.gen(function* () {
      assert.match(only(yield* orphans(orphan("setsid sleep 60 &"))).what, /sleep/)
    })
  )

  it.effect("remembers a helper without a mark that has left its tree", () =>
    Effect.gen(function* () {
      const script = "setsid sleep 60 & sleep 0.2"
      assert.match(only(yield* orphans(orphan(script, { PATH: process.env["PATH"] }))).what, /sleep/)
    })
  )

  it.effect("finds an open file by its path", () =>
    Effect.gen(function* () {
      const file = planted(() => openSync(import.meta.filename, "r"), closeSync)
      assert.include(only(yield* findings(file, "FileDescriptor")).what, import.meta.filename)
    })
  )

  it.effect("finds a connected socket by its addresses", () =>
    Effect.gen(function* () {
      const server = yield* listening
      const leaks = yield* findings(connected(server), "Socket")
      const { port } = server.address() as AddressInfo
      assert.strictEqual(leaks.length, 2, "our end, and the server's in the same process")
      assert.isTrue(leaks.some(({ what }) => what.endsWith(`to 127.0.0.1:${port} (established)`)))
    })
  )

  it.effect("finds a listening port", () =>
    Effect.gen(function* () {
      assert.match(only(yield* findings(listening, "ListeningPort")).what, /tcp 127\.0\.0\.1:\d+ \(listening\)$/)
    })
  )

  it.effect("finds a timeout, with the place where it was set", () =>
    Effect.gen(function* () {
      const timer = planted(() => setTimeout(() => {}, 60_000), clearTimeout)
      assert.match(only(yield* findings(timer, "Timer")).what, /^setTimeout at .*LeakCheck\.test\.ts/)
    })
  )

  it.effect("finds an interval, also one that does not keep the process alive", () =>
    Effect.gen(function* () {
      const timer = planted(() => setInterval(() => {}, 60_000).unref(), clearInterval)
      assert.match(only(yield* findings(timer, "Timer")).what, /^setInterval at /)
    })
  )

  it.effect("finds a handle that keeps the process alive", () =>
    Effect.gen(function* () {
      assert.match(only(yield* findings(listening, "Handle")).what, /^TCPServerWrap: /)
    })
  )

  for (const event of ["exit", "SIGUSR2"]) {
    it.effect(`finds a listener on the process for ${event}`, () =>
      Effect.gen(function* () {
        const listener = () => {}
        const listen = planted(
          () => process.on(event, listener),
          () => process.off(event, listener)
        )
        assert.include(only(yield* findings(listen, "Listener")).what, `process "${event}": `)
      })
    )
  }

  it.effect("finds a listener on an abort signal that it was given", () =>
    Effect.gen(function* () {
      const { signal } = new AbortController()
      const listen = Effect.sync(() => signal.addEventListener("abort", () => {}))
      const leak = only(yield* findings(listen, "Listener", { emitters: { "the signal": signal } }))
      assert.strictEqual(leak.what, `the signal "abort": 1 where there were 0`)
    })
  )

  it.effect("finds a fibre, whoever runs it, with its span and the place where it was started", () =>
    Effect.gen(function* () {
      const fiber = Effect.acquireRelease(
        Effect.sync(() => Effect.runFork(Effect.withSpan(Effect.never, "left.alone"))),
        Fiber.interrupt
      )
      assert.match(only(yield* findings(fiber, "Fiber")).what, /^#\d+ in left\.alone at .*LeakCheck\.test\.ts/)
    })
  )

  it.effect("finds a detached fibre that sleeps on a test clock", () =>
    Effect.gen(function* () {
      const fiber = Effect.acquireRelease(Effect.forkDetach(Effect.sleep("1 hour")), Fiber.interrupt)
      assert.isNotEmpty(yield* findings(fiber, "Fiber"))
    })
  )

  it.effect("does not blame a check for fibres of before", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      yield* Effect.forkScoped(Effect.andThen(Deferred.await(go), Effect.never))
      yield* LeakCheck.check(Effect.andThen(Deferred.succeed(go, undefined), Effect.yieldNow), { settle })
    })
  )

  it.effect("finds a session that the server still counts", () =>
    Effect.gen(function* () {
      const open = yield* Ref.make(1)
      const leak = only(
        yield* findings(
          Ref.update(open, (count) => count + 1),
          "Session",
          { sessions: { files: Ref.get(open) } }
        )
      )
      assert.strictEqual(leak.what, "files: 2 where there were 1")
    })
  )

  it.effect("waits for what is about to end", () =>
    LeakCheck.check(
      Effect.sync(() => spawn("sleep", ["0.2"], { stdio: "ignore" })),
      { settle: "5 seconds" }
    )
  )

  it.effect("leaves alone what it was told to ignore", () =>
    Effect.gen(function* () {
      const timer: Effect.Effect<unknown, never, Scope.Scope> = planted(
        () => setTimeout(() => {}, 60_000),
        clearTimeout
      )
      yield* LeakCheck.check(timer, { settle, ignore: ({ kind }) => kind === "Timer" })
    })
  )

  it.effect("keeps the effect's own failure beside what it found", () =>
    Effect.gen(function* () {
      const timer = planted(() => setTimeout(() => {}, 60_000), clearTimeout)
      const exit = yield* Effect.exit(LeakCheck.check(Effect.andThen(timer, Effect.fail("mine")), { settle }))
      const failures = Exit.isFailure(exit)
        ? exit.cause.reasons.filter(Cause.isFailReason).map(({ error }) => error)
        : []
      assert.strictEqual(failures[0], "mine")
      assert.instanceOf(failures[1], LeakCheck.LeakFound)
    })
  )

  it.effect("says in one line each what was left behind, and for how long", () =>
    Effect.gen(function* () {
      const listener = () => {}
      const listen = planted(
        () => process.on("SIGUSR2", listener),
        () => process.off("SIGUSR2", listener)
      )
      const error = yield* Effect.flip(LeakCheck.check(listen, { settle }))
      assert.match(
        error.message,
        /^1 thing was left behind and still there after \d+ms:\n {2}Listener process "SIGUSR2": \d where there were \d \(for /
      )
    })
  )
})
