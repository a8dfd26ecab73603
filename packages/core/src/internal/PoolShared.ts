/** What the servers of one pool share. */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { AuthorizersService } from "../Authorizers.ts"
import type { HealthCheck } from "../HealthCheck.ts"
import type { Platform } from "../McpConnection.ts"
import type { McpError } from "../McpError.ts"
import type { PoolEvent } from "../PoolEvent.ts"
import type { Admission } from "./Admission.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"

export interface PoolShared {
  readonly namespace: string
  /** The pool's own context; a caller's never reaches a shared connection. */
  readonly context: Context.Context<Platform>
  readonly wheel: DeadlineWheelService
  readonly authorizers: AuthorizersService
  readonly gate: Admission
  readonly acquireTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
  /** By the names of servers. */
  readonly healthChecks: Readonly<Record<string, HealthCheck>>
  /** Runs in the pool's context; the pool's scope ends it. */
  readonly run: <A>(effect: Effect.Effect<A, never, Platform>) => Fiber.Fiber<A>
  readonly emit: (event: PoolEvent) => void
  /** Opens these servers, where they are not; unknown ones are left out. */
  readonly opened: (servers: ReadonlyArray<string>) => Effect.Effect<void, McpError>
  /** What servers of that name that were taken out still do. */
  readonly ending: (server: string) => ReadonlyArray<Fiber.Fiber<unknown>>
  /** A server's lists are other ones now; answers the version of the next snapshot. */
  readonly catalogChanged: (server: string) => void
}
