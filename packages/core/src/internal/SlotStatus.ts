/** The state of one server, and whether it takes calls. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import { McpError, PoolClosed, ServerDisabled, Suspended } from "../McpError.ts"
import type { PastError, StatusReport } from "../PoolStats.ts"
import * as ServerStatus from "../ServerStatus.ts"
import type { SlotEnv } from "./SlotEnv.ts"

export interface SlotStatus {
  readonly get: () => ServerStatus.ServerStatus
  /** Goes to another state, by legal ways only. */
  readonly move: (to: ServerStatus.ServerStatus, error?: McpError) => void
  /** Remembers a failure until the server is ready again. */
  readonly remember: (error: McpError) => void
  /** The same, and goes to the state that tells of it. */
  readonly failed: (error: McpError, to?: "Recovering" | "Degraded") => void
  readonly ready: () => void
  readonly suspend: (suspended: boolean) => void
  /** It has been stopped, or is over for good. */
  readonly end: (state: "Stopped" | "Closed") => void
  /** The same, for a server whose name may be another's by now: nothing more is told of it. */
  readonly discard: () => void
  /** After a stop. */
  readonly restart: () => void
  readonly hasEnded: () => boolean
  readonly closedError: () => McpError
  /** Why it takes no calls, if it does not. */
  readonly refusal: () => McpError | undefined
  readonly report: () => Omit<StatusReport, "retryAfterMillis">
  readonly pastErrors: () => ReadonlyArray<PastError>
}

const errorsKept = 5

export const make = ({ name, pool, source }: SlotEnv): SlotStatus => {
  let status: ServerStatus.ServerStatus = source.disabled === undefined ? "Idle" : "Disabled"
  const wallClock = Context.get(pool.context, Clock.Clock)
  let suspended = false
  let discarded = false
  let ended: "Stopped" | "Closed" | undefined
  let lastError: McpError | undefined
  let pastErrors: ReadonlyArray<PastError> = []

  const move = (to: ServerStatus.ServerStatus, error?: McpError) => {
    if (status === to) return
    if (!ServerStatus.isLegal(status, to)) throw new Error(`"${name}" cannot go from ${status} to ${to}`)
    const from = status
    status = to
    if (!discarded) pool.emit({ _tag: "StatusChanged", server: name, from, to, reason: error?.reason })
  }

  const remember = (error: McpError) => {
    lastError = error
    const past = { at: wallClock.currentTimeMillisUnsafe(), reason: error.reason._tag, message: error.message }
    pastErrors = [...pastErrors, past].slice(-errorsKept)
  }

  const closedError = () => new McpError({ reason: new PoolClosed({ server: name, state: ended ?? "Closed" }) })

  return {
    get: () => status,
    move,
    remember,
    failed: (error, to = "Recovering") => {
      remember(error)
      move(to, error)
    },
    ready: () => {
      lastError = undefined
      move("Ready")
    },
    suspend: (value) => {
      suspended = value
    },
    end: (state) => {
      ended = state
    },
    discard: () => {
      discarded = true
      ended = "Closed"
    },
    restart: () => {
      if (ended !== "Stopped") return
      ended = undefined
      move(source.disabled === undefined ? "Idle" : "Disabled")
    },
    hasEnded: () => ended !== undefined,
    closedError,
    refusal: () => {
      if (source.disabled !== undefined) {
        return new McpError({ reason: new ServerDisabled({ server: name, why: source.disabled }) })
      }
      if (ended !== undefined) return closedError()
      return suspended ? new McpError({ reason: new Suspended({ server: name }) }) : undefined
    },
    report: () => ({
      server: name,
      status,
      classic: ServerStatus.toClassic(status),
      suspended,
      detail: source.disabled ?? lastError?.message,
      lastError
    }),
    pastErrors: () => pastErrors
  }
}

/**
 * The state of a server with several connections: what happens to one of them shows only when no other is open, or being
 * opened.
 */
export const ofMany = (status: SlotStatus, isBusy: () => boolean): SlotStatus => ({
  ...status,
  failed: (error, to) => (isBusy() ? status.remember(error) : status.failed(error, to)),
  move: (to, error) => {
    const from = status.get()
    if (to === "Connecting" && (from === "Ready" || from === "Connecting")) return
    if (isBusy() && (to === "Idle" || to === "Recovering" || to === "CircuitOpen")) return
    status.move(to, error)
  }
})
