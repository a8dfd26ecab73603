/** Does to a pool what the plan says, and writes down what its callers met. */
import { McpError, type McpPool, type ToolResult } from "@scoped-mcp/core"
import { Cause, Duration, Effect, Exit } from "effect"
import { type Fleet, limits } from "./Fleet.ts"
import type { Act, CallPlan, Step } from "./Plan.ts"
import { answerTo } from "./server.ts"
import { now } from "./Watch.ts"

/** The limits of the pool. */
export const poolLimits = { acquireTimeout: "4 seconds", maxConcurrency: 40, closeTimeout: "3 seconds" } as const

const millis = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))
const acquire = millis(poolLimits.acquireTimeout)
const connect = millis(limits.connectTimeout)
export const callLimit = millis(limits.callTimeout)
export const closeLimit = millis(limits.closeTimeout)
/** As long as the pool waits for all releases at once. */
export const poolCloseLimit = millis(poolLimits.closeTimeout) * 1.1

/** An open waits for what is being released, and for an open that was given up and is being released, too. */
const openLimit = 2 * (connect + closeLimit)

export type Outcome =
  | { readonly _tag: "Succeeded" }
  | { readonly _tag: "Failed"; readonly reason: string; readonly delivery: McpError.Delivery }
  | { readonly _tag: "Interrupted" }
  /** What no caller should ever meet. */
  | { readonly _tag: "Broken"; readonly detail: string }

/** Something that a caller did, from its start to its end. */
export interface Operation {
  readonly name: string
  readonly server: string
  /** Of a call of a tool: by what the servers know it. */
  readonly id: string | undefined
  readonly startedAt: number
  /** Milliseconds that it may take. */
  readonly limit: number
  /** Its caller meant to leave before its end. */
  readonly mayBeInterrupted: boolean
  end: { readonly at: number; readonly outcome: Outcome } | undefined
}

/** The time in which somebody held a connection. */
interface Hold {
  readonly server: string
  readonly from: number
  until: number
}

export interface Record {
  readonly operations: Array<Operation>
  readonly holds: Array<Hold>
}

export const makeRecord = (): Record => ({ operations: [], holds: [] })

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome => {
  if (Exit.isSuccess(exit)) return { _tag: "Succeeded" }
  if (Cause.hasInterruptsOnly(exit.cause)) return { _tag: "Interrupted" }
  const error = Cause.squash(exit.cause)
  return error instanceof McpError.McpError && !Cause.hasDies(exit.cause)
    ? { _tag: "Failed", reason: error.reason._tag, delivery: error.delivery }
    : { _tag: "Broken", detail: Cause.pretty(exit.cause) }
}

type About = Omit<Operation, "startedAt" | "end" | "id" | "mayBeInterrupted"> & Partial<Operation>

/** An answer that is another call's. */
const crossed = (id: string, result: ToolResult.ToolResult) =>
  result.text === answerTo(id) ? Effect.void : Effect.die(new Error(`${id} was answered "${result.text.slice(0, 80)}"`))

/** What runs one step of the plan; it never fails, because what it meets is in the record. */
export const make = (pool: McpPool.McpPoolService, fleet: Fleet, record: Record) => {
  const observe = <A, E>(about: About, effect: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      const operation: Operation = {
        id: undefined,
        mayBeInterrupted: false,
        ...about,
        startedAt: now(),
        end: undefined
      }
      record.operations.push(operation)
      return Effect.onExit(effect, (exit) =>
        Effect.sync(() => {
          operation.end = { at: now(), outcome: outcomeOf(exit) }
        })
      )
    })

  const forgive = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> =>
    Effect.matchCauseEffect(effect, {
      onSuccess: () => Effect.void,
      onFailure: (cause) => (Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.void)
    })

  const call = (
    server: string,
    { id, interruptAfter, millis, steps }: CallPlan,
    waits: number,
    callTool: (call: {
      readonly tool: string
      readonly arguments: Readonly<globalThis.Record<string, unknown>>
      readonly onProgress?: () => void
    }) => Effect.Effect<ToolResult.ToolResult, McpError.McpError>
  ) => {
    const about = { name: "call", server, id, limit: Math.min(waits + callLimit, interruptAfter ?? Infinity) }
    const sent = Effect.flatMap(
      callTool({ tool: "work", arguments: { id, millis, steps }, ...(steps > 1 ? { onProgress: () => {} } : {}) }),
      (result) => crossed(id, result)
    )
    return interruptAfter === undefined
      ? observe(about, sent)
      : Effect.timeoutOption(observe({ ...about, mayBeInterrupted: true }, sent), interruptAfter)
  }

  const toPool = (server: string) => (request: { readonly tool: string }) => pool.callTool({ server, ...request })

  const lease = (server: string, { calls, how, pause }: Extract<Act, { readonly _tag: "Lease" }>) => {
    const limit = acquire + calls.length * callLimit + pause
    const during = (connection: McpPool.LeasedConnection) =>
      Effect.suspend(() => {
        const hold: Hold = { server, from: now(), until: Infinity }
        record.holds.push(hold)
        return Effect.forEach(calls, (plan) => forgive(call(server, plan, 0, connection.callTool)), {
          discard: true
        }).pipe(
          Effect.andThen(Effect.sleep(pause)),
          Effect.ensuring(
            Effect.sync(() => {
              hold.until = now()
            })
          )
        )
      })
    const held =
      how === "use"
        ? pool.use(server, during)
        : how === "get"
          ? Effect.scoped(Effect.flatMap(pool.get(server), during))
          : Effect.scoped(
              Effect.flatMap(pool.getIfWarm(server), (lent) =>
                lent._tag === "None" ? Effect.void : during(lent.value)
              )
            )
    return observe({ name: how, server, limit }, held)
  }

  const then = (first: Effect.Effect<unknown>, pause: number, second: Effect.Effect<unknown>) =>
    Effect.andThen(first, Effect.delay(second, pause))

  const act = ({ act, server }: Step): Effect.Effect<unknown, unknown> => {
    const brief = { name: act._tag.toLowerCase(), server, limit: 0 }
    const opening = { ...brief, limit: openLimit }
    switch (act._tag) {
      case "Call":
        return call(server, act.call, acquire, toPool(server))
      case "FailingCall":
        return observe(
          { ...brief, id: act.id, limit: acquire + callLimit },
          pool.callTool({ server, tool: "fail", arguments: { id: act.id } })
        )
      case "UnknownTool":
        // The list of tools is asked afterwards, for the names that are nearest.
        return observe(
          { ...brief, id: act.id, limit: 2 * (acquire + callLimit) },
          pool.callTool({ server, tool: "wrok", arguments: { id: act.id } })
        )
      case "UnknownServer":
        return observe(brief, pool.callTool({ server: `${server}-`, tool: "work" }))
      case "Lease":
        return lease(server, act)
      case "Warmup":
        return observe(opening, pool.warmup([server]))
      case "Reconnect":
        return observe(opening, pool.reconnect(server))
      case "Evict":
        return observe(brief, pool.evict(server))
      case "Stats":
        return observe(brief, Effect.andThen(pool.stats, pool.statuses))
      case "CatalogOf":
        return observe({ ...brief, limit: acquire + callLimit }, pool.catalogOf(server))
      case "Catalog":
        return observe({ ...brief, limit: acquire + callLimit }, pool.catalog)
      case "Suspend":
        return then(
          forgive(observe(brief, pool.suspend(server))),
          act.pause,
          forgive(observe({ ...brief, name: "resume" }, pool.resume(server)))
        )
      case "Drain":
        return then(
          forgive(observe({ ...brief, limit: act.pause }, pool.drain(server, Duration.millis(act.pause)))),
          act.pause,
          forgive(observe({ ...brief, name: "resume" }, pool.resume(server)))
        )
      case "Stop":
        return then(
          forgive(observe({ ...brief, limit: poolCloseLimit }, pool.stop)),
          act.pause,
          // It waits for a stop that is still under way.
          forgive(observe({ ...brief, name: "start", limit: poolCloseLimit }, pool.start))
        )
      case "Replace":
        return Effect.flatMap(fleet.incarnate(server), (source) => observe(brief, pool.replace(server, source)))
      case "Remove":
        return then(
          observe(brief, pool.remove(server)),
          act.pause,
          Effect.flatMap(fleet.incarnate(server), (source) =>
            forgive(observe({ ...brief, name: "register" }, pool.register(server, source)))
          )
        )
    }
  }

  return (step: Step): Effect.Effect<void> => forgive(act(step))
}
