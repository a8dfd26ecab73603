/**
 * SIGINT, SIGTERM and SIGHUP close the open pools before the process ends, without any set-up by the program. Listeners of
 * the program's own keep their say: where there are some, they decide when the process ends.
 */

const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof codes
const signals = Object.keys(codes) as ReadonlyArray<Signal>

/** Signals within so many milliseconds are one: a launcher passes on what the terminal has sent to everybody. */
const sameSignal = 250

export interface Closable {
  readonly close: () => Promise<void>
  readonly kill: () => void
}

const open = new Set<Closable>()
let firstAt: number | undefined

const onSignal = (signal: Signal): void => {
  const now = performance.now()
  const alone = process.listenerCount(signal) === 1
  if (firstAt !== undefined) {
    if (now - firstAt < sameSignal) return
    // The second time nobody wants to wait.
    for (const pool of open) pool.kill()
    if (alone) process.exit(codes[signal])
    return
  }
  firstAt = now
  void Promise.allSettled([...open].map((pool) => pool.close())).then(() => {
    firstAt = undefined
    // As if there had been no listener of ours: the default of the signal ends the process.
    if (alone) process.kill(process.pid, signal)
  })
}

/** Closes it at a signal until it is told not to any more. */
export const add = (pool: Closable): void => {
  if (open.size === 0) for (const signal of signals) process.on(signal, onSignal)
  open.add(pool)
}

export const remove = (pool: Closable): void => {
  if (!open.delete(pool) || open.size > 0) return
  for (const signal of signals) process.off(signal, onSignal)
}

/** Test runners end processes in their own way, and a listener of ours would stand in it. */
export const isTestRun = (): boolean =>
  ["VITEST", "JEST_WORKER_ID", "NODE_TEST_CONTEXT", "MOCHA_WORKER_ID", "BUN_TEST"].some(
    (name) => process.env[name] !== undefined
  )
