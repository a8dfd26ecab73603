/**
 * What happens in a pool, as values: `pool.events` is a stream of them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Reason } from "./McpError.ts"
import { ServerStatus } from "./ServerStatus.ts"

/**
 * A server changed its state. `reason` says why, where a failure was the cause.
 *
 * @since 0.1.0
 */
export const StatusChanged = Schema.TaggedStruct("StatusChanged", {
  server: Schema.String,
  from: ServerStatus,
  to: ServerStatus,
  reason: Schema.optional(Reason)
})

/**
 * A connection was opened, in `openedIn`.
 *
 * @since 0.1.0
 */
export const ConnectionOpened = Schema.TaggedStruct("ConnectionOpened", {
  server: Schema.String,
  instanceId: Schema.String,
  pid: Schema.optional(Schema.Finite),
  protocolVersion: Schema.String,
  openedIn: Schema.Duration
})

/**
 * A connection was released. `step` is what it took to end it; `Survived` means that a process could not be ended.
 *
 * @since 0.1.0
 */
export const ConnectionClosed = Schema.TaggedStruct("ConnectionClosed", {
  server: Schema.String,
  instanceId: Schema.String,
  step: Schema.Literals(["Exited", "EndOfInput", "Terminate", "Kill", "Survived"]),
  closedIn: Schema.Duration
})

/**
 * The list of a server's tools, resources or prompts is another one now.
 *
 * @since 0.1.0
 */
export const CatalogChanged = Schema.TaggedStruct("CatalogChanged", {
  server: Schema.String,
  version: Schema.Finite
})

/**
 * A server was registered, replaced or removed.
 *
 * @since 0.1.0
 */
export const RegistrationChanged = Schema.TaggedStruct("RegistrationChanged", {
  server: Schema.String,
  change: Schema.Literals(["Registered", "Replaced", "Removed"])
})

/**
 * The pool was closed or stopped: how many connections that ended, how many of them not within the limit, and the time
 * it took.
 *
 * @since 0.1.0
 */
export const PoolEnded = Schema.TaggedStruct("PoolEnded", {
  state: Schema.Literals(["Stopped", "Closed"]),
  closedCount: Schema.Finite,
  failedCount: Schema.Finite,
  closedIn: Schema.Duration
})

/** @since 0.1.0 */
export const PoolEvent = Schema.Union([
  StatusChanged,
  ConnectionOpened,
  ConnectionClosed,
  CatalogChanged,
  RegistrationChanged,
  PoolEnded
])

/** @since 0.1.0 */
export type PoolEvent = typeof PoolEvent.Type
