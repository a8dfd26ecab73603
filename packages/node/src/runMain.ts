/**
 * Runs a program as the process, as `NodeRuntime.runMain` does, and ends it whatever happens: SIGHUP counts as well, a
 * second signal ends everything at once, the release of resources has a limit, and an error outside every fibre releases
 * them too. A worker of `node:cluster` ends in good order when it is told to disconnect.
 *
 * Signals are those of POSIX. In a worker thread there are none: the thread's end releases nothing in good order, and the
 * guard and the exit handler end its servers.
 *
 * @since 0.1.0
 */
import type { Cluster } from "node:cluster"
import { writeSync } from "node:fs"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"

/** @since 0.1.0 */
export interface RunMainOptions {
  /** Do not print the failure of the program; it has been shown already. Default false. */
  readonly disableErrorReporting?: boolean | undefined
  /** Longest time from the first signal to the end of the process; then what is left is killed. Default 5.5 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

type Signal = keyof typeof exitCodes

const signals = Object.keys(exitCodes) as ReadonlyArray<Signal>

// Straight to the file: the stream may be what is broken (the reader of a pipe has gone), and would raise another error.
const report = (error: unknown): void => {
  try {
    writeSync(2, `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  } catch {
    // nobody is there to read it
  }
}

/**
 * Signals within so many milliseconds are one: a terminal sends Ctrl-C to the whole group, and a launcher in it passes its
 * own on.
 */
const sameSignal = 250

/**
 * A worker of `node:cluster` that has lost the line to its primary is told to end in good order, or has been left alone:
 * then Node.js itself calls `process.exit`. Other children may well live on without their parent.
 */
const onClusterDisconnect = (end: () => void): (() => void) => {
  if (!process.connected) return () => {}
  // Loaded for those who have a line to a parent only; it takes longer than all else here.
  const { worker } = process.getBuiltinModule("node:cluster") as unknown as Cluster
  if (worker === undefined) return () => {}
  worker.once("disconnect", end)
  return () => void worker.off("disconnect", end)
}

const run = (shutdownTimeout: number) =>
  Runtime.makeRunMain(({ fiber, teardown }) => {
    let code: number | undefined

    let signalledAt = -Infinity

    const shutdown = (exitCode: number) => {
      const now = performance.now()
      const again = now - signalledAt > sameSignal
      signalledAt = now
      if (code !== undefined) {
        // The second time nobody wants to wait: exit handlers kill what is still there.
        if (again) process.exit(exitCode)
        return
      }
      code = exitCode
      setTimeout(() => process.exit(exitCode), shutdownTimeout).unref()
      fiber.interruptUnsafe(fiber.id)
    }
    const onSignal = (signal: Signal) => shutdown(exitCodes[signal])
    const onError = (error: unknown) => {
      report(error)
      // An error of the release itself does not cut it short; its limit holds.
      if (code === undefined) shutdown(1)
    }

    for (const signal of signals) process.on(signal, onSignal)
    process.on("uncaughtException", onError)
    const offDisconnect = onClusterDisconnect(() => {
      if (code !== undefined) return
      shutdown(0)
      // No signal: the TERM that `worker.kill()` sends after it is the first one.
      signalledAt = Infinity
    })
    fiber.addObserver((exit) => {
      for (const signal of signals) process.off(signal, onSignal)
      process.off("uncaughtException", onError)
      offDisconnect()
      teardown(exit, (exitCode) => {
        const last = code ?? exitCode
        if (last !== 0) process.exit(last)
      })
    })
  })

/**
 * Runs a program and sets the exit code: 0, 1 for a failure, 130, 143 or 129 after SIGINT, SIGTERM or SIGHUP.
 *
 * @since 0.1.0
 */
export const runMain = <A, E>(program: Effect.Effect<A, E>, options?: RunMainOptions): void =>
  run(Duration.toMillis(Duration.fromInputUnsafe(options?.shutdownTimeout ?? "5500 millis")))(program, {
    disableErrorReporting: options?.disableErrorReporting
  })
