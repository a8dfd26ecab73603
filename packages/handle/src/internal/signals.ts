/**
 * SIGINT, SIGTERM and SIGHUP close the open pools before the process ends, without any set-up by the program; so does the
 * disconnect of a worker of `node:cluster`. Listeners of the program's own keep their say: where there are some, they
 * decide when the process ends.
 */
import type { Cluster, Worker } from "node:cluster"

const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof codes
const signals = Object.keys(codes) as ReadonlyArray<Signal>

/** Signals within so many milliseconds are one: a launcher passes on what the terminal has sent to everybody. */
const sameSignal = 250

/** Closing it twice is closing it once. */
export interface Closable {
  readonly close: () => Promise<void>
  readonly kill: () => void
}

const open = new Set<Closable>()
let signalledAt: number | undefined

const closeAll = () => Promise.allSettled([...open].map((pool) => pool.close()))

const onSignal = (signal: Signal): void => {
  const now = performance.now()
  const alone = process.listenerCount(signal) === 1
  if (signalledAt !== undefined) {
    if (now - signalledAt < sameSignal) return
    // The second time nobody wants to wait.
    for (const pool of open) pool.kill()
    if (alone) process.exit(codes[signal])
    return
  }
  signalledAt = now
  void closeAll().then(() => {
    signalledAt = undefined
    // As if there had been no listener of ours, which is gone with the last pool: the signal's own effect ends the process.
    if (alone) process.kill(process.pid, signal)
  })
}

const onDisconnect = (): void => void closeAll()

/** Loaded by those who have a line to a parent only. */
const clusterWorker = (): Worker | undefined =>
  process.connected ? (process.getBuiltinModule("node:cluster") as unknown as Cluster).worker : undefined

/** Closes it at a signal until it is removed. */
export const add = (pool: Closable): void => {
  if (open.size === 0) {
    for (const signal of signals) process.on(signal, onSignal)
    clusterWorker()?.once("disconnect", onDisconnect)
  }
  open.add(pool)
}

/** Once it has been closed, not before: a second signal must find it. */
export const remove = (pool: Closable): void => {
  if (!open.delete(pool) || open.size > 0) return
  for (const signal of signals) process.off(signal, onSignal)
  clusterWorker()?.off("disconnect", onDisconnect)
}

/** Test runners end processes in their own way, and a listener of ours would stand in it. */
export const isTestRun = (): boolean =>
  ["VITEST", "JEST_WORKER_ID", "NODE_TEST_CONTEXT", "MOCHA_WORKER_ID", "BUN_TEST"].some(
    (name) => process.env[name] !== undefined
  )
