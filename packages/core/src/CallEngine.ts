/**
 * Sends the requests that callers wait for, and settles each of them exactly once: with its answer, at its deadline,
 * when the wire ends, or when the caller goes away. No fibre, timer or schema is made per call.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DeadlineWheelService } from "./internal/DeadlineWheel.ts"
import { firstRequestId, type Frame, isRecord } from "./internal/frames.ts"
import * as Redaction from "./internal/redaction.ts"
import { type ResolvedLimits, type Span, span } from "./Limits.ts"
import {
  CallTimeout,
  type Delivery,
  InvalidResult,
  McpError,
  MessageTooLarge,
  ProtocolError,
  type Reason
} from "./McpError.ts"
import type { Wire, WireClosed } from "./Wire.ts"

/**
 * What a server reports of a running call. `progress` grows; `total` is the end it foresees, if it does.
 *
 * @since 0.1.0
 */
export interface Progress {
  readonly progress: number
  readonly total: number | undefined
  readonly message: string | undefined
}

/**
 * How one call differs from the limits of its server.
 *
 * @since 0.1.0
 */
export interface CallOptions {
  /** Longest silence; progress re-arms it. Default: the server's `callIdleTimeout`. */
  readonly idleTimeout?: Span | undefined
  /** Longest time, whatever the progress. Default: the server's `callTimeout`. */
  readonly timeout?: Span | undefined
  /** Told of progress, in order and before the result. If it throws, the call dies of it. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** @since 0.1.0 */
export interface CallEngine {
  /** Sends a request and waits for its result. Interruption tells the server, and returns at once. */
  readonly request: (
    method: string,
    params: Readonly<Record<string, unknown>>,
    options?: CallOptions
  ) => Effect.Effect<Readonly<Record<string, unknown>>, McpError>
  /** Calls that wait for their answer. */
  readonly pending: () => number
  /** Answers that nobody waited for: late, repeated or made up. */
  readonly strays: () => number
}

interface Pending {
  readonly method: string
  readonly settle: (effect: Effect.Effect<Readonly<Record<string, unknown>>, McpError>) => void
  readonly progress: (progress: Progress) => void
  readonly delivery: () => Exclude<Delivery, "Answered">
}

/** A text has between one and three bytes of UTF-8 for each of its code units; only between is it worth counting. */
const exceeds = (text: string, limit: number): boolean =>
  text.length > limit || (text.length * 3 > limit && new TextEncoder().encode(text).length > limit)

/**
 * The engine of a wire, and the only one. `scrub` takes the secrets out of what the server says in its errors. When the wire ends, every call on it fails and no other is taken.
 *
 * @since 0.1.0
 */
export const make = (
  server: string,
  wire: Wire,
  wheel: DeadlineWheelService,
  limits: ResolvedLimits,
  scrub: Redaction.Scrub
): CallEngine => {
  const pending = new Map<number, Pending>()
  let nextId = firstRequestId
  let strays = 0
  let closed: WireClosed | undefined

  const fail = (call: Pending, reason: Reason) => call.settle(new McpError({ reason }))

  const onResponse = (call: Pending, frame: Frame) => {
    const { error, result } = frame
    if (isRecord(result)) {
      call.settle(Effect.succeed(result))
    } else if (isRecord(error)) {
      const { code, message } = error
      fail(
        call,
        new ProtocolError({
          server,
          request: call.method,
          code: typeof code === "number" ? code : undefined,
          detail: typeof message === "string" ? scrub(message) : "no reason given",
          data: Redaction.deep(scrub)(error["data"]),
          delivery: "Answered"
        })
      )
    } else {
      fail(call, new InvalidResult({ server, request: call.method, detail: "it has neither a result nor an error" }))
    }
  }

  const onProgress = (params: unknown): boolean => {
    if (!isRecord(params)) return false
    const { message, progress, progressToken: token, total } = params
    if (typeof token !== "number" || token < firstRequestId) return false
    const call = pending.get(token)
    if (call === undefined || typeof progress !== "number") strays++
    else {
      call.progress({
        progress,
        total: typeof total === "number" ? total : undefined,
        message: typeof message === "string" ? message : undefined
      })
    }
    return true
  }

  wire.listen({
    onFrame: (frame) => {
      const { id, method } = frame
      if (method === "notifications/progress") return onProgress(frame["params"])
      if (method !== undefined || typeof id !== "number" || id < firstRequestId) return false
      const call = pending.get(id)
      if (call === undefined) strays++
      else onResponse(call, frame)
      return true
    },
    onTooLarge: (id) => {
      const call = pending.get(id)
      if (call === undefined) {
        // The late answer to a call that was given up is as harmless as one of the right size.
        const late = id >= firstRequestId && id < nextId
        if (late) strays++
        return late
      }
      fail(
        call,
        new MessageTooLarge({
          server,
          request: call.method,
          direction: "Response",
          limit: limits.maxMessageBytes,
          delivery: "Answered"
        })
      )
      return true
    },
    onClosed: (why) => {
      closed = why
      for (const call of pending.values()) fail(call, why.toReason(call.delivery()))
    }
  })

  const request: CallEngine["request"] = (method, params, options) =>
    Effect.callback((resume) => {
      if (closed !== undefined) return resume(new McpError({ reason: closed.toReason("NotSent") }))
      const id = nextId++
      const frame = {
        jsonrpc: "2.0",
        id,
        method,
        params: { ...params, _meta: { ...(isRecord(params["_meta"]) ? params["_meta"] : {}), progressToken: id } }
      } as const
      const body = JSON.stringify(frame)
      if (exceeds(body, limits.maxRequestBytes)) {
        const limit = limits.maxRequestBytes
        return resume(
          new McpError({
            reason: new MessageTooLarge({ server, request: method, direction: "Request", limit, delivery: "NotSent" })
          })
        )
      }

      const idle = Duration.toMillis(span("idleTimeout", options?.idleTimeout, limits.callIdleTimeout))
      const total = Duration.toMillis(span("timeout", options?.timeout, limits.callTimeout))
      const startedAt = wheel.now()
      let heardAt = startedAt
      let handed = false
      let cancel: ((why: string) => void) | undefined
      const delivery = () => (handed ? "OutcomeUnknown" : "NotSent")

      const leave = (): boolean => {
        disarm()
        return pending.delete(id)
      }
      const settle: Pending["settle"] = (effect) => {
        if (leave()) resume(effect)
      }
      // Progress only moves `heardAt`; the deadline is set again, if it must be, when the old one comes.
      const expire = () => {
        const now = wheel.now()
        const phase = now >= startedAt + total ? "Total" : now >= heardAt + idle ? "Idle" : undefined
        if (phase === undefined) return arm(Math.min(startedAt + total, heardAt + idle) - now)
        const limit = Duration.millis(phase === "Total" ? total : idle)
        const reason = new CallTimeout({ server, request: method, phase, limit, delivery: delivery() })
        settle(new McpError({ reason }))
        cancel?.("timed out")
      }
      let disarm = () => {}
      const arm = (millis: number) => {
        disarm = wheel.after(millis, { expire })
      }

      pending.set(id, {
        method,
        settle,
        delivery,
        progress: (progress) => {
          heardAt = wheel.now()
          try {
            options?.onProgress?.(progress)
          } catch (error) {
            // A mistake of the caller's, and of this call only: the line it came on carries others too.
            settle(Effect.die(error))
            cancel?.("its progress could not be handled")
          }
        }
      })
      arm(Math.min(idle, total))
      cancel = wire.post(frame, body, {
        onHanded: (is) => {
          handed = is
        },
        onFailure: (reason) => settle(new McpError({ reason })),
        isSettled: () => !pending.has(id)
      })
      return Effect.sync(() => {
        if (leave()) cancel?.("cancelled by the caller")
      })
    })

  return { request, pending: () => pending.size, strays: () => strays }
}
