/**
 * The connections of one server: the one that new calls use, those that end with their last user, and those that are
 * being released.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Live from "./Live.ts"
import type { SlotEnv } from "./SlotEnv.ts"
import type { Waiters } from "./Waiters.ts"

export interface Connections {
  /** The one that the next call uses, where there is one that needs nothing more. */
  readonly current: () => Live.Live | undefined
  /** One to show to people. */
  readonly shown: () => Live.Live | undefined
  /** Whether new calls may use it, now or when it is given back. */
  readonly isInUse: (it: Live.Live) => boolean
  /** Whether one more call may use it now. */
  readonly isFree: (it: Live.Live) => boolean
  /** Whether there is one to lend without opening any. */
  readonly isWarm: () => boolean
  /** The one to lend without opening any. */
  readonly warm: Effect.Effect<Live.Live | undefined>
  /** What the lists that this connection has told are true of: for as long as it is what `offered` answers. */
  readonly offeredBy: (it: Live.Live) => unknown
  readonly offered: () => unknown
  readonly releasing: ReadonlySet<Fiber.Fiber<boolean>>
  readonly size: () => number
  readonly areGone: () => boolean
  /** Makes it the current one. */
  readonly add: (it: Live.Live) => void
  readonly enter: (it: Live.Live) => void
  readonly leave: (it: Live.Live) => void
  /** No new calls on it; it closes with its last user. Each call has its own limit, and a lease its scope. */
  readonly retire: (it: Live.Live) => void
  /** Retires the current one. False: there is none. */
  readonly retireCurrent: () => boolean
  /** It has ended by itself. True: it was the current one. */
  readonly lose: (it: Live.Live) => boolean
  /** Closes a connection in the background. */
  readonly release: (it: Live.Live) => void
  readonly releaseAll: () => void
  /** From now on the current one does not close for idling. */
  readonly keepAlive: () => void
}

export const make = (env: SlotEnv, waiters: Waiters, onIdle: () => void): Connections => {
  const { limits, pool } = env
  const lives = new Set<Live.Live>()
  const releasing = new Set<Fiber.Fiber<boolean>>()
  let keepAlive = limits.keepAlive
  let current: Live.Live | undefined
  let disarmIdle = () => {}

  const release = (it: Live.Live): void => {
    if (it.closing) return
    it.closing = true
    lives.delete(it)
    // Detached, because a release must outlive whoever asked for it; a close of the pool waits for what is in the set.
    it.released = Effect.runForkWith(pool.context)(Live.close(env, it))
    waiters.track(releasing, it.released)
  }

  const forget = (it: Live.Live): boolean => {
    if (current !== it) return false
    current = undefined
    disarmIdle()
    return true
  }

  const retire = (it: Live.Live): void => {
    forget(it)
    if (it.retired) return
    it.retired = true
    if (it.users === 0) release(it)
  }

  const armIdle = (it: Live.Live) => {
    if (keepAlive || it !== current) return
    disarmIdle = pool.wheel.after(Duration.toMillis(limits.idleTimeToLive), {
      expire: () => {
        if (it !== current || it.users > 0 || keepAlive) return
        retire(it)
        onIdle()
      }
    })
  }

  return {
    current: () => current,
    shown: () => current,
    isInUse: (it) => it === current,
    isFree: () => true,
    isWarm: () => current !== undefined,
    warm: Effect.sync(() => current),
    offeredBy: (it) => it,
    offered: () => current,
    releasing,
    size: () => lives.size,
    areGone: () => lives.size === 0 && releasing.size === 0,
    add: (it) => {
      current = it
      lives.add(it)
      armIdle(it)
    },
    enter: (it) => {
      if (it.users++ === 0) disarmIdle()
    },
    leave: (it) => {
      if (--it.users > 0) return
      if (it.retired) release(it)
      else armIdle(it)
    },
    retire,
    retireCurrent: () => {
      if (current === undefined) return false
      retire(current)
      return true
    },
    lose: (it) => {
      it.lost = true
      it.retired = true
      return forget(it)
    },
    release,
    releaseAll: () => {
      // First, so that nothing that happens to it during the release is taken for a change of the server.
      if (current !== undefined) forget(current)
      for (const it of lives) release(it)
    },
    keepAlive: () => {
      keepAlive = true
    }
  }
}
