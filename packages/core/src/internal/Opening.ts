/** Opens the connection of a server: one attempt at a time, whose outcome all who wait for it share. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { Authorizers } from "../Authorizers.ts"
import * as McpConnection from "../McpConnection.ts"
import { ConnectFailed, McpError } from "../McpError.ts"
import { type CloseOptions, joinIfAny } from "../Registry.ts"
import type { Server } from "../ServerSource.ts"
import { Namespace } from "./authorise.ts"
import { ConnectReport } from "./ConnectReport.ts"
import * as DeadlineWheel from "./DeadlineWheel.ts"
import * as EraVerdict from "./EraVerdict.ts"
import * as Live from "./Live.ts"
import { realTime } from "./realTime.ts"
import type { SlotEnv } from "./SlotEnv.ts"
import { targetOf } from "./target.ts"
import type { Waiters } from "./Waiters.ts"

/** What the slot has to do with an attempt. */
export interface Host {
  /** What earlier connections still do; it ends first, so that a server never runs twice. */
  readonly before: () => Iterable<Fiber.Fiber<unknown>>
  readonly closedError: () => McpError
  readonly onStart: () => void
  readonly onOpened: (it: Live.Live) => void
  /** Failed attempts since the server was last ready. */
  readonly failed: { count: number }
  /** It took so many milliseconds. */
  readonly onFailed: (error: McpError, attempted: number) => void
  /** Closes a connection, for whoever looks after all of the program. */
  readonly end: (it: Live.Live, options: CloseOptions) => Effect.Effect<boolean>
  /** Takes a connection that nobody waits for any more. */
  readonly release: (it: Live.Live) => void
}

export interface Opening {
  /** Joins the attempt that runs, or begins one, at once, unless that is refused; the effect waits for it. */
  readonly open: (refusal?: () => McpError | undefined) => Effect.Effect<Live.Live, McpError>
  readonly isOpening: () => boolean
  /** Those who wait for the attempt are told that the server has ended. */
  readonly abandon: () => void
  /** The attempts that have not released yet what they held. */
  readonly building: () => ReadonlyArray<Fiber.Fiber<void>>
  /** Ends attempts, and waits until they have released what they held. */
  readonly interrupt: Effect.Effect<void>
}

type Attempt = Deferred.Deferred<Live.Live, McpError>

const layerOf = (name: string, source: Server) =>
  source._tag === "FromLayer" ? source.layer : McpConnection.layer(source, { server: name })

export const make = ({ limits, name, pool, source }: SlotEnv, waiters: Waiters, host: Host): Opening => {
  const verdict = EraVerdict.make(pool.wheel.now)
  const building = new Set<Fiber.Fiber<void>>()
  let attempt: Attempt | undefined
  let startedAt = 0
  const { failed } = host

  const onOpened = (it: Live.Live, mine: Attempt) => {
    if (attempt !== mine) return host.release(it)
    attempt = undefined
    failed.count = 0
    host.onOpened(it)
    Deferred.doneUnsafe(mine, Effect.succeed(it))
  }

  const onFailed = (error: McpError, mine: Attempt) => {
    if (attempt === mine) {
      attempt = undefined
      failed.count++
      host.onFailed(error, pool.wheel.now() - startedAt)
    }
    Deferred.doneUnsafe(mine, Effect.fail(error))
  }

  const buildFailed = (detail: string): McpError => {
    const about = { server: name, target: targetOf(source), stderr: "", noise: [], attempt: failed.count + 1 }
    return new McpError({ reason: new ConnectFailed({ ...about, phase: "Build", detail }) })
  }

  const failure = (cause: Cause.Cause<McpError>): McpError => {
    const error = Cause.findErrorOption(cause)
    if (Option.isSome(error)) return error.value
    if (Cause.hasInterruptsOnly(cause)) return host.closedError()
    return buildFailed(
      Cause.prettyErrors(cause)
        .map((defect) => defect.message)
        .join("; ")
    )
  }

  /**
   * Our own connections keep `connectTimeout` themselves, and say more; a layer or transport of the user's may know none, or
   * not let itself be interrupted. It is reported without a wait for the build to end, which may take its time even then.
   */
  const limitBuild = (mine: Attempt, fiber: Fiber.Fiber<unknown, unknown>): (() => void) => {
    const grace = source._tag === "FromLayer" ? 0 : 250
    return pool.wheel.after(Duration.toMillis(limits.connectTimeout) + grace, {
      expire: () => {
        onFailed(buildFailed(`not built within ${Duration.format(limits.connectTimeout)} (connectTimeout)`), mine)
        fiber.interruptUnsafe()
      }
    })
  }

  const build = (mine: Attempt, scope: Scope.Closeable) =>
    Layer.buildWithScope(Layer.fresh(layerOf(name, { ...source, limits })), scope).pipe(
      Effect.map((context) => Context.get(context, McpConnection.McpConnection)),
      Effect.provideService(DeadlineWheel.DeadlineWheel, pool.wheel),
      Effect.provideService(Authorizers, pool.authorizers),
      Effect.provideService(Namespace, pool.namespace),
      Effect.provideService(EraVerdict.EraVerdict, verdict),
      Effect.provideService(ConnectReport, {
        attempt: failed.count + 1,
        failed: (error) => Effect.sync(() => onFailed(error, mine))
      })
    )

  const join = (it: Live.Live) => {
    const { instanceId } = it.connection.info
    const about = { namespace: pool.namespace, server: name, instanceId, pid: it.pid, target: targetOf(source) }
    return joinIfAny(about, (options) => host.end(it, options))
  }

  const connect = (mine: Attempt, before: ReadonlyArray<Fiber.Fiber<unknown>>) =>
    Effect.gen(function* () {
      // Ours end within their limit; a layer of the user's whose release does not is not waited for for ever.
      yield* Effect.forEach(before, Fiber.await, { discard: true }).pipe(
        Effect.timeoutOption(Duration.times(limits.closeTimeout, 1.2)),
        Effect.provideService(Clock.Clock, realTime)
      )
      const needed = yield* Effect.result(pool.opened(limits.dependsOn))
      if (Result.isFailure(needed)) return onFailed(needed.failure, mine)
      const scope = yield* Scope.make()
      const it = Effect.flatMap(build(mine, scope), (connection) =>
        Effect.tap(Live.make(connection, scope, pool.wheel.now()), (it) => Scope.provide(join(it), scope))
      )
      const disarm = limitBuild(mine, yield* Effect.fiber)
      yield* Effect.onExit(it, (exit) => {
        disarm()
        return Exit.isSuccess(exit)
          ? Effect.sync(() => onOpened(exit.value, mine))
          : Effect.andThen(
              Effect.sync(() => onFailed(failure(exit.cause), mine)),
              Scope.close(scope, exit)
            )
      })
    }).pipe(
      // Those who wait have been told by `onFailed`; nobody looks at the fibre.
      Effect.ignoreCause
    )

  return {
    open: (refusal) => {
      if (attempt !== undefined) return Deferred.await(attempt)
      const refused = refusal?.()
      if (refused !== undefined) return refused
      const mine: Attempt = Deferred.makeUnsafe()
      attempt = mine
      startedAt = pool.wheel.now()
      host.onStart()
      const before = [...building, ...host.before()]
      // Detached as a release is, because it may end in one; `interrupt` reaches what is in the set.
      waiters.track(building, Effect.runForkWith(pool.context)(connect(mine, before)))
      return Deferred.await(mine)
    },
    isOpening: () => attempt !== undefined,
    abandon: () => {
      if (attempt === undefined) return
      const waited = attempt
      attempt = undefined
      Deferred.doneUnsafe(waited, host.closedError())
    },
    building: () => [...building],
    interrupt: Effect.suspend(() => Fiber.interruptAll(building))
  }
}
