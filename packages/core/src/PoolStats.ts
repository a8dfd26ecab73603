/**
 * The figures of a pool at one moment.
 *
 * @since 0.1.0
 */
import type { McpError, Reason } from "./McpError.ts"
import type { ClassicStatus, ServerStatus } from "./ServerStatus.ts"

/**
 * The state of one server for people and programs.
 *
 * @since 0.1.0
 */
export interface StatusReport {
  readonly server: string
  readonly status: ServerStatus
  readonly classic: ClassicStatus
  readonly suspended: boolean
  /** Why it is disabled, or the last failure of its connection since it was last ready. */
  readonly detail: string | undefined
  readonly lastError: McpError | undefined
  /** Milliseconds until its open circuit lets one attempt through. */
  readonly retryAfterMillis: number | undefined
}

/**
 * Calls by how they ended, since the server was registered.
 *
 * @since 0.1.0
 */
export interface CallCounts {
  readonly succeeded: number
  /** The tool itself reported failure. */
  readonly toolFailed: number
  readonly timedOut: number
  readonly cancelled: number
  readonly refused: number
  readonly failed: number
}

/**
 * How long answered calls took, from the moment they were made: the wait for a place and for the connection included.
 * Percentiles are those since the server was registered, off by at most a twelfth.
 *
 * @since 0.1.0
 */
export interface LatencyStats {
  readonly count: number
  readonly p50Millis: number
  readonly p95Millis: number
  readonly p99Millis: number
  readonly maxMillis: number
}

/**
 * A failure of a server, without its secrets.
 *
 * @since 0.1.0
 */
export interface PastError {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly reason: Reason["_tag"]
  readonly message: string
}

/** @since 0.1.0 */
export interface ServerStats extends StatusReport {
  readonly target: string
  readonly pid: number | undefined
  readonly protocolVersion: string | undefined
  /** `modern`: since 2026-07-28 there is no session; `legacy`: one that began with `initialize`. */
  readonly era: "legacy" | "modern" | undefined
  /** Milliseconds since the connection was opened. */
  readonly uptimeMillis: number | undefined
  /** Connections that are open, those that only end their last calls included. */
  readonly connections: number
  /** Connections opened so far. */
  readonly opened: number
  /** Connections that were lost, not closed by us. */
  readonly lost: number
  /** Connections that were replaced because they failed their health checks. */
  readonly recycled: number
  /** Attempts to open one that failed. */
  readonly connectFailures: number
  /** Connections that were opened in place of one that had failed. */
  readonly restarts: number
  /** Its last failures, the newest last; at most 5. */
  readonly lastErrors: ReadonlyArray<PastError>
  readonly calls: CallCounts
  readonly latency: LatencyStats
  readonly running: number
  readonly waiting: number
  /** Holds on the connection by `use` and `get`. */
  readonly leases: number
  /** Lines on stdout that are no protocol messages: how many, and the first of them. */
  readonly noiseCount: number
  readonly noise: ReadonlyArray<string>
}

/** @since 0.1.0 */
export interface PoolStats {
  readonly namespace: string
  /** True once the pool has been started and until it is stopped or closed. */
  readonly initialised: boolean
  readonly registeredServers: ReadonlyArray<string>
  readonly activeServers: ReadonlyArray<string>
  /** True for a server that is ready. */
  readonly health: Readonly<Record<string, boolean>>
  readonly servers: ReadonlyArray<ServerStats>
  readonly running: number
  readonly waiting: number
}
