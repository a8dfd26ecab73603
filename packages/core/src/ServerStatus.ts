/**
 * The state of one server in a pool, and which state may follow which.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * - `Idle`: no connection; the next call opens one.
 * - `Connecting`: one is being opened.
 * - `Ready`: calls go through.
 * - `Degraded`: connected, and failing its health checks.
 * - `Recovering`: the connection, or the attempt to open one, has failed; the next call tries again, and so does the pool
 *   by itself after a pause, where the server is in use or to be kept open.
 * - `CircuitOpen`: it failed so often that it is left alone for a while, and calls fail at once; one attempt decides then.
 * - `Disabled`: switched off by its configuration.
 * - `Closing`, `Closed`: the pool is ending.
 *
 * @since 0.1.0
 */
export const ServerStatus = Schema.Literals([
  "Idle",
  "Connecting",
  "Ready",
  "Degraded",
  "Recovering",
  "CircuitOpen",
  "Disabled",
  "Closing",
  "Closed"
])

/** @since 0.1.0 */
export type ServerStatus = typeof ServerStatus.Type

const next: Readonly<Record<ServerStatus, ReadonlyArray<ServerStatus>>> = {
  Idle: ["Connecting", "Closing"],
  Connecting: ["Ready", "Recovering", "Closing", "Idle"],
  Ready: ["Degraded", "Recovering", "Idle", "Closing"],
  Degraded: ["Ready", "Recovering", "Idle", "Closing"],
  Recovering: ["Connecting", "CircuitOpen", "Closing", "Idle"],
  CircuitOpen: ["Connecting", "Recovering", "Closing", "Idle"],
  Disabled: ["Closing"],
  Closing: ["Closed"],
  // A stopped pool can be started again.
  Closed: ["Idle", "Disabled"]
}

/**
 * Whether a server may go from one state to the other.
 *
 * @since 0.1.0
 */
export const isLegal = (from: ServerStatus, to: ServerStatus): boolean => next[from].includes(to)

/** The four states that other clients know. */
export type ClassicStatus = "disconnected" | "connecting" | "connected" | "error"

/**
 * The state in the words of other clients; a failed connect stays visible as `error` until it is tried again.
 *
 * @since 0.1.0
 */
export const toClassic = (status: ServerStatus): ClassicStatus => {
  switch (status) {
    case "Idle":
    case "Disabled":
    case "Closing":
    case "Closed":
      return "disconnected"
    case "Connecting":
      return "connecting"
    case "Ready":
    case "Degraded":
      return "connected"
    case "Recovering":
    case "CircuitOpen":
      return "error"
  }
}
