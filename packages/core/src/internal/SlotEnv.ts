/** What the parts of a slot share: which server it is, its limits, and its pool. */
import * as Duration from "effect/Duration"
import type { ResolvedLimits } from "../Limits.ts"
import type { Server } from "../ServerSource.ts"
import * as PoolLogs from "./poolLogs.ts"
import type { PoolShared } from "./PoolShared.ts"

export interface SlotEnv {
  readonly pool: PoolShared
  readonly name: string
  readonly source: Server
  readonly limits: ResolvedLimits
  /** Logs a line that says which server it is about. */
  readonly log: typeof PoolLogs.log
}

export const make = (pool: PoolShared, name: string, source: Server): SlotEnv => ({
  pool,
  name,
  source,
  // A server may take less time to close than the pool has, never more: nothing may outlive the pool's own limit.
  limits: { ...source.limits, closeTimeout: Duration.min(source.limits.closeTimeout, pool.closeTimeout) },
  log: (line, annotations, cause) =>
    PoolLogs.log(line, { server: name, namespace: pool.namespace, ...annotations }, cause)
})
