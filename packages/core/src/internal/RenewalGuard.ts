/** Keeps a credential from being asked for again and again: by a server that refuses whatever it gets, or by one that is down. */
import type { AuthorizationFailed } from "../McpError.ts"

const minute = 60_000

/** Credentials that were refused as soon as they were had, within a minute: in all, and those that a person gave. */
const most = { all: 5, person: 2 } as const

/** How long nothing is asked after a failure, doubled with each further one, up to the ceiling. */
const pauses = {
  machine: { first: 1_000, ceiling: minute },
  person: { first: minute, ceiling: 60 * minute }
} as const

export type Asked = keyof typeof pauses

export interface RenewalGuard {
  /** The last failure, while it is too early to try again. */
  readonly paused: (now: number) => AuthorizationFailed | undefined
  readonly failed: (now: number, asked: Asked, why: AuthorizationFailed) => void
  /** Whether so many were had within a minute that another one would not be taken either. */
  readonly exhausted: (now: number, asked: Asked) => boolean
  readonly had: (now: number, asked: Asked) => void
  readonly reset: () => void
}

export const make = (): RenewalGuard => {
  let pause: { readonly until: number; readonly why: AuthorizationFailed } | undefined
  let failures = 0
  let recent: ReadonlyArray<{ readonly at: number; readonly asked: Asked }> = []
  const within = (now: number) => (recent = recent.filter(({ at }) => at > now - minute))
  return {
    paused: (now) => (pause !== undefined && now < pause.until ? pause.why : undefined),
    failed: (now, asked, why) => {
      const { ceiling, first } = pauses[asked]
      pause = { until: now + Math.min(first * 2 ** failures, ceiling), why }
      failures++
    },
    exhausted: (now, asked) => {
      const had = within(now)
      return (
        had.length >= most.all || (asked === "person" && had.filter((it) => it.asked === asked).length >= most.person)
      )
    },
    had: (now, asked) => {
      recent = [...within(now), { at: now, asked }]
      pause = undefined
      failures = 0
    },
    reset: () => {
      pause = undefined
      failures = 0
      recent = []
    }
  }
}
