/**
 * The connections of a server that lends each to one caller at a time. Callers have a place of the server's, of which there
 * are as many as connections may be, and come here in the order in which they got it.
 *
 * Not Effect's `Pool`, whose shutdown waits for every borrower without a limit and closes one item after the other, and
 * whose `get` neither ends nor can be refused (`docs/design.md`).
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type { McpError } from "../McpError.ts"
import type { Connections } from "./Connections.ts"
import * as HealthWatch from "./HealthWatch.ts"
import * as Live from "./Live.ts"
import * as Opening from "./Opening.ts"
import type { SlotEnv } from "./SlotEnv.ts"
import type { Waiters } from "./Waiters.ts"

/** What the slot has to do with them. */
export interface Host extends Omit<Opening.Host, "before" | "release"> {
  /** Whether one may be opened that nobody waits for. */
  readonly mayOpen: () => boolean
  /** None is open any more, or being opened, and none has failed. */
  readonly onEmpty: () => void
  /** One that nobody had borrowed has failed its check. */
  readonly onUnhealthy: (it: Live.Live, verdict: { readonly check: string; readonly why: string }) => void
}

export interface Exclusive {
  readonly connections: Connections
  readonly opening: Opening.Opening
  /** A call on it got no answer in time: it is checked before anyone else gets it. */
  readonly suspect: (it: Live.Live) => void
}

/** One that was in use so lately is lent without a check. */
const freshFor = 500

/** Who waits for a connection, whichever becomes free first. */
interface Wanter {
  readonly resume: (it: Live.Live) => void
  readonly fail: (error: McpError) => void
}

interface Held {
  idleSince: number
  endIdle: () => void
  endLife: () => void
}

export const make = (env: SlotEnv, waiters: Waiters, host: Host): Exclusive => {
  const { limits, pool } = env
  const { idleTimeToLive, max, maxLifetime } = limits.exclusive
  const { now } = pool.wheel
  const check = HealthWatch.checkOf(env)
  const random = Context.get(pool.context, Random.Random)
  const lives = new Map<Live.Live, Held>()
  /** Used last, lent first: those that are too many get to be unused. */
  const idle: Array<Live.Live> = []
  const wanters = new Set<Wanter>()
  const attempts = new Set<Opening.Opening>()
  const openings = new Set<Opening.Opening>()
  const releasing = new Set<Fiber.Fiber<boolean>>()
  let { min } = limits.exclusive
  /** Nobody has used it yet, or it has been stopped. */
  let asleep = true
  /** The last thing that is known of it is a failure: then one attempt decides for all who wait. */
  let failing = false
  /** What all connections since then offer. */
  let offered: object = {}

  const isEmpty = () => lives.size === 0 && attempts.size === 0

  const takeOut = (it: Live.Live): boolean => {
    const at = idle.indexOf(it)
    if (at === -1) return false
    idle.splice(at, 1)
    lives.get(it)?.endIdle()
    return true
  }

  const drop = (it: Live.Live) => {
    takeOut(it)
    lives.get(it)?.endLife()
    lives.delete(it)
  }

  const release = (it: Live.Live): void => {
    if (it.closing) return
    it.closing = true
    drop(it)
    // Detached, because a release must outlive whoever asked for it; a close of the pool waits for what is in the set.
    it.released = Effect.runForkWith(pool.context)(Live.close(env, it))
    waiters.track(releasing, it.released)
  }

  const retire = (it: Live.Live): void => {
    if (it.retired) return
    it.retired = true
    takeOut(it)
    if (it.users === 0) release(it)
  }

  const begin = () => {
    for (const opening of openings)
      if (!opening.isOpening() && opening.building().length === 0) openings.delete(opening)
    const opening: Opening.Opening = Opening.make(env, waiters, {
      ...host,
      // Only as many as must end first for there to be no more than may be at the same time.
      before: () => {
        const failed = [...openings].filter((other) => !attempts.has(other)).flatMap((other) => other.building())
        const ending = [...releasing, ...failed]
        return [...pool.ending(env.name), ...(lives.size + attempts.size + ending.length > max ? ending : [])]
      },
      onOpened: (it) => {
        attempts.delete(opening)
        failing = false
        host.onOpened(it)
        offer(it)
        fill()
      },
      onFailed: (error, attempted) => {
        attempts.delete(opening)
        failing = true
        const told = lives.size === 0 && attempts.size === 0 ? [...wanters] : [...wanters].slice(0, 1)
        host.onFailed(error, attempted)
        for (const wanter of told) wanter.fail(error)
      },
      release
    })
    openings.add(opening)
    attempts.add(opening)
    // The effect is for those who wait for this attempt, and here they wait for any.
    void opening.open()
  }

  /** As many attempts as are wanted, or only one that tells how the server is. */
  const beginFor = (count: number) => {
    const most = failing && lives.size === 0 ? Math.min(1, count) : count
    while (attempts.size < most) begin()
  }

  const fill = () => {
    if (asleep || !host.mayOpen()) return
    if (!failing) while (lives.size + attempts.size < min) begin()
    beginFor(wanters.size)
  }

  /** It is there for whoever waits first. */
  const offer = (it: Live.Live) => {
    const [first] = wanters
    if (first === undefined) return
    wanters.delete(first)
    first.resume(it)
  }

  const settle = () => {
    fill()
    if (isEmpty()) host.onEmpty()
  }

  const armIdle = (it: Live.Live, held: Held) => {
    const endTtl = pool.wheel.after(Duration.toMillis(idleTimeToLive), {
      expire: () => {
        if (lives.size <= min) return
        retire(it)
        settle()
      }
    })
    let endCheck = () => {}
    const checkLater = () => {
      endCheck = pool.wheel.after(Duration.toMillis(limits.health.every), {
        expire: () => pool.run(Effect.map(isWell(it), (well) => (well && idle.includes(it) ? checkLater() : undefined)))
      })
    }
    checkLater()
    held.endIdle = () => {
      endTtl()
      endCheck()
    }
  }

  const putBack = (it: Live.Live, idleSince: number) => {
    const held = lives.get(it)
    if (held === undefined || it.retired || idle.includes(it)) return
    held.idleSince = idleSince
    idle.push(it)
    armIdle(it, held)
  }

  /** Asks a connection how it is; one that is not well goes. */
  const isWell = (it: Live.Live): Effect.Effect<boolean> =>
    check === undefined
      ? Effect.succeed(true)
      : Effect.map(check(it.leased), (verdict) => {
          if (verdict._tag === "Healthy") return true
          if (it.retired) return false
          takeOut(it)
          host.onUnhealthy(it, verdict)
          return false
        })

  const newest = () => {
    const it = idle.at(-1)
    const held = it === undefined ? undefined : lives.get(it)
    return it === undefined || held === undefined || (check !== undefined && now() - held.idleSince >= freshFor)
      ? undefined
      : it
  }

  /** One that nobody has, asked before how it is if that is not known. */
  const unused: Effect.Effect<Live.Live | undefined> = Effect.suspend(() => {
    const fresh = newest()
    if (fresh !== undefined) return Effect.succeed(fresh)
    const it = idle.at(-1)
    if (it === undefined) return Effect.succeed(undefined)
    const idleSince = lives.get(it)?.idleSince ?? 0
    takeOut(it)
    return Effect.flatMap(
      Effect.onInterrupt(isWell(it), () =>
        Effect.sync(() => {
          putBack(it, idleSince)
          offer(it)
        })
      ),
      (well) => {
        if (!well) return unused
        putBack(it, now())
        return Effect.succeed(it)
      }
    )
  })

  const any = (refusal?: () => McpError | undefined): Effect.Effect<Live.Live, McpError> =>
    Effect.suspend(() => {
      const refused = attempts.size === 0 ? refusal?.() : undefined
      if (refused !== undefined) return refused
      return Effect.callback<Live.Live, McpError>((resume) => {
        const wanter: Wanter = {
          resume: (it) => resume(Effect.succeed(it)),
          fail: (error) => {
            wanters.delete(wanter)
            resume(error)
          }
        }
        wanters.add(wanter)
        beginFor(wanters.size)
        return Effect.sync(() => wanters.delete(wanter))
      })
    })

  const retireAll = (): boolean => {
    offered = {}
    const before = [...lives.keys()].filter((it) => !it.retired)
    for (const it of before) retire(it)
    return before.length > 0
  }

  return {
    suspect: (it) => {
      const held = lives.get(it)
      if (held !== undefined) held.idleSince = -Infinity
    },
    connections: {
      current: newest,
      shown: () => idle.at(-1) ?? lives.keys().next().value,
      isInUse: (it) => lives.has(it) && !it.retired,
      isFree: (it) => idle.includes(it),
      isWarm: () => idle.length > 0,
      warm: unused,
      offeredBy: (it) => (lives.has(it) ? offered : it),
      offered: () => (lives.size === 0 ? undefined : offered),
      releasing,
      size: () => lives.size,
      areGone: () => lives.size === 0 && releasing.size === 0,
      add: (it) => {
        if (lives.size === 0) offered = {}
        const lifetime = Duration.toMillis(maxLifetime) * (1 - random.nextDoubleUnsafe() / 10)
        const held: Held = {
          idleSince: now(),
          endIdle: () => {},
          endLife: pool.wheel.after(Math.ceil(lifetime), {
            expire: () => {
              retire(it)
              settle()
            }
          })
        }
        lives.set(it, held)
        putBack(it, now())
      },
      enter: (it) => {
        takeOut(it)
        it.users++
      },
      leave: (it) => {
        it.users--
        if (it.retired) {
          release(it)
          return settle()
        }
        const suspected = lives.get(it)?.idleSince === -Infinity
        putBack(it, suspected ? -Infinity : now())
        offer(it)
      },
      retire,
      retireCurrent: retireAll,
      lose: (it) => {
        const wasInUse = lives.has(it) && !it.retired
        it.lost = true
        it.retired = true
        drop(it)
        failing = true
        return wasInUse
      },
      release,
      releaseAll: () => {
        asleep = true
        for (const it of lives.keys()) {
          it.retired = true
          release(it)
        }
      },
      keepAlive: () => {
        min = Math.max(min, 1)
      }
    },
    opening: {
      open: (refusal) => {
        asleep = false
        if (idle.length === 0) {
          const refused = attempts.size === 0 ? refusal?.() : undefined
          if (refused !== undefined) return refused
          // At once, also for who does not wait for it.
          beginFor(wanters.size + 1)
        }
        return Effect.flatMap(unused, (it) => (it === undefined ? any(refusal) : Effect.succeed(it)))
      },
      isOpening: () => attempts.size > 0,
      abandon: () => {
        for (const opening of attempts) opening.abandon()
        attempts.clear()
        for (const wanter of wanters) wanter.fail(host.closedError())
      },
      building: () => [...openings].flatMap((opening) => opening.building()),
      interrupt: Effect.suspend(() => Fiber.interruptAll([...openings].flatMap((opening) => opening.building())))
    }
  }
}
