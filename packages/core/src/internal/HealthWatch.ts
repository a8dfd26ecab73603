/** Looks after the connection that new calls use: asks how it is, every so often and when calls get no answer. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HealthCheck from "../HealthCheck.ts"
import { McpError, Unhealthy } from "../McpError.ts"
import type { Live } from "./Live.ts"
import type { SlotEnv } from "./SlotEnv.ts"

/** What the slot has to do with a verdict. */
export interface Host {
  readonly current: () => Live | undefined
  readonly onHealthy: () => void
  /** It has failed a check, and may heal. */
  readonly onDegraded: (error: McpError) => void
  /** It has failed as often as it may. */
  readonly onUnhealthy: (it: Live, error: McpError) => void
}

export interface HealthWatch {
  readonly watch: (it: Live) => void
  /** A call on it got no answer in time. Whether that was the server's fault, a check tells. */
  readonly suspect: (it: Live) => void
  readonly end: () => void
}

const built: Readonly<Record<"ping" | "list" | "process", HealthCheck.HealthCheck>> = {
  ping: HealthCheck.ping,
  list: HealthCheck.list,
  process: HealthCheck.process
}

/** What the health of a server is judged by; nothing where it is not watched. */
export const checkOf = ({ limits, name, pool }: SlotEnv): HealthCheck.HealthCheck | undefined => {
  const { check, timeout } = limits.health
  const chosen = pool.healthChecks[name] ?? (check === "off" ? undefined : built[check])
  if (chosen === undefined) return undefined
  const late = HealthCheck.unhealthy("timeout", `no answer within ${Duration.format(timeout)} (health.timeout)`)
  return (it) =>
    Effect.timeoutOrElse(chosen(it), { duration: timeout, orElse: () => Effect.succeed(late) }).pipe(
      Effect.catchCause((cause) => HealthCheck.custom("check", () => Effect.failCause(cause))(it))
    )
}

const unwatched: HealthWatch = { watch: () => {}, suspect: () => {}, end: () => {} }

export const make = (env: SlotEnv, host: Host): HealthWatch => {
  const { limits, name, pool } = env
  const { every, failures } = limits.health
  const check = checkOf(env)
  if (check === undefined) return unwatched
  let disarm = () => {}
  let checking: Live | undefined
  /** Checks failed in a row. */
  let failed = 0
  /** Calls without an answer since the last check that found nothing wrong. */
  let silent = 0

  const conclude = (it: Live, verdict: HealthCheck.Verdict) => {
    if (checking === it) checking = undefined
    if (host.current() !== it) return
    if (verdict._tag === "Healthy") {
      failed = 0
      silent = 0
      host.onHealthy()
      return arm(it)
    }
    failed++
    const { check, why } = verdict
    const error = new McpError({ reason: new Unhealthy({ server: name, check, detail: why, failures: failed }) })
    if (failed + silent < failures) {
      host.onDegraded(error)
      return arm(it)
    }
    host.onUnhealthy(it, error)
  }

  const run = (it: Live) => {
    disarm()
    if (host.current() !== it || checking === it) return
    checking = it
    pool.run(Effect.map(check(it.leased), (verdict) => conclude(it, verdict)))
  }

  const arm = (it: Live) => {
    disarm = pool.wheel.after(Duration.toMillis(every), { expire: () => run(it) })
  }

  return {
    watch: (it) => {
      disarm()
      failed = 0
      silent = 0
      arm(it)
    },
    suspect: (it) => {
      if (host.current() !== it) return
      silent++
      run(it)
    },
    end: () => disarm()
  }
}
