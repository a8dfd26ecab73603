/**
 * A lock that processes hold one after another: a file that names its holder. It is free again when the holder has
 * ended, however it ended, so that nobody waits for a program that was killed.
 */
import { randomUUID } from "node:crypto"
import { readlinkSync } from "node:fs"
import { link, open, readFile, rm, stat, utimes, writeFile } from "node:fs/promises"
import { hostname } from "node:os"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ProcessTable from "../ProcessTable.ts"

interface Holder {
  /** Where its process number means something. */
  readonly host: string
  readonly pid: number
  readonly startTime: string | undefined
}

/** Processes of other machines cannot be looked up; a holder there says that it lives by touching the file. */
const heartbeat = "10 seconds"
const silence = 60_000

/** Taking a lock away is a matter of microseconds. */
const takingAway = 5_000

const realTime = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

const namespaceOfProcesses = (): string => {
  try {
    return readlinkSync("/proc/self/ns/pid")
  } catch {
    return "" // no such thing on this system
  }
}

const here = `${hostname()} ${namespaceOfProcesses()}`

const self = (): Holder => ({ host: here, pid: process.pid, startTime: ProcessTable.read(process.pid)?.startTime })

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined)

const lives = ({ pid, startTime }: Holder): boolean => {
  if (startTime !== undefined) {
    const entry = ProcessTable.read(pid)
    return entry !== undefined && !entry.zombie && entry.startTime === startTime
  }
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === "EPERM"
  }
}

const age = async (path: string): Promise<number> => Date.now() - (await stat(path)).mtimeMs

const isGone = (error: unknown) => codeOf(error) === "ENOENT"

/** Whether nobody holds the lock any more, although its file is there. */
const isLeft = async (path: string, content: string): Promise<boolean> => {
  const holder = JSON.parse(content) as Holder
  return holder.host === here ? !lives(holder) : (await age(path)) > silence
}

/** Only one at a time looks and takes away; otherwise a lock could be taken away that somebody has just got. */
const takeAway = async (path: string): Promise<void> => {
  const mutex = `${path}.left`
  try {
    await (await open(mutex, "wx", 0o600)).close()
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error
    if ((await age(mutex)) > takingAway) await rm(mutex, { force: true })
    return
  }
  try {
    if (await isLeft(path, await readFile(path, "utf8"))) await rm(path, { force: true })
  } finally {
    await rm(mutex, { force: true })
  }
}

/** One try. The file appears with its content or not at all. */
const tryTake = async (path: string): Promise<boolean> => {
  const mine = `${path}.${randomUUID()}`
  await writeFile(mine, JSON.stringify(self()), { flag: "wx", mode: 0o600 })
  try {
    await link(mine, path)
    return true
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error
    try {
      if (await isLeft(path, await readFile(path, "utf8"))) await takeAway(path)
    } catch (found) {
      if (!isGone(found)) throw found // released meanwhile: the next try gets it
    }
    return false
  } finally {
    await rm(mine, { force: true })
  }
}

/**
 * Runs the effect while this process, and only one fibre of it, holds the lock. Waiting is on real time, because it is
 * for other processes.
 */
export const withLock =
  <E2>(path: string, failed: (cause: unknown) => E2) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        while (!(yield* Effect.tryPromise({ try: () => tryTake(path), catch: failed }))) {
          const pause = yield* Random.nextIntBetween(20, 100)
          yield* restore(realTime(Effect.sleep(pause)))
        }
        const touch = Effect.ignore(Effect.tryPromise(() => utimes(path, new Date(), new Date())))
        const held = Effect.scoped(
          Effect.andThen(
            Effect.forkScoped(realTime(Effect.schedule(touch, Schedule.spaced(heartbeat)))),
            restore(effect)
          )
        )
        return yield* Effect.onExit(held, () => Effect.ignore(Effect.tryPromise(() => rm(path, { force: true }))))
      })
    )
