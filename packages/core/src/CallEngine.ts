/**
 * Sends the requests that callers wait for, and settles each of them exactly once: with its answer, at its deadline,
 * when the wire ends, or when the caller goes away. No fibre, timer or schema is made per call.
 *
 * @since 0.1.0
 */
import {
  LOG_LEVEL_META_KEY,
  type LoggingLevel,
  type Notification,
  SUBSCRIPTION_ID_META_KEY
} from "@modelcontextprotocol/client"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DeadlineWheelService } from "./internal/DeadlineWheel.ts"
import { firstRequestId, type Frame, isRecord } from "./internal/frames.ts"
import { notJson } from "./internal/notJson.ts"
import * as Redaction from "./internal/redaction.ts"
import * as TraceContext from "./internal/traceContext.ts"
import { type ResolvedLimits, type Span, span } from "./Limits.ts"
import {
  CallTimeout,
  ConnectionLost,
  type Delivery,
  InvalidArguments,
  InvalidResult,
  McpError,
  MessageTooLarge,
  ProtocolError,
  type Reason
} from "./McpError.ts"
import type { PostListener, Wire, WireClosed } from "./Wire.ts"

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

/**
 * What the connection knows of a request that its caller does not.
 *
 * @since 0.1.0
 */
export interface RequestDetails {
  /** When the first of several requests began that share one `timeout`, on the clock of the deadlines. Default: now. */
  readonly startedAt?: number | undefined
  /** Headers of its own, where there are headers. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** @since 0.1.0 */
export interface CallEngine {
  /** Sends a request and waits for its result. Interruption tells the server, and returns at once. */
  readonly request: (
    method: string,
    params: Readonly<Record<string, unknown>>,
    options?: CallOptions,
    details?: RequestDetails
  ) => Effect.Effect<Readonly<Record<string, unknown>>, McpError>
  /**
   * Opens a subscription of the 2026 era and stays in it: it succeeds when the server ends it, and fails when it is
   * refused or lost. It has no limit of its own.
   */
  readonly listen: (
    filter: Readonly<Record<string, unknown>>,
    onAcknowledged: (honoured: Readonly<Record<string, unknown>>) => void
  ) => Effect.Effect<void, McpError>
  /**
   * From here on requests are those of the 2026 era, with this metadata. `refused` is offered what the first of them
   * fails with, until one has succeeded, and answers what the caller is told.
   */
  readonly speakModern: (
    envelope: Readonly<Record<string, unknown>>,
    refused: ((reason: Reason) => Reason) | undefined
  ) => void
  /** The least severe messages that servers of the 2026 era send with their answers. */
  readonly setLogLevel: (level: LoggingLevel) => void
  readonly isClosed: () => boolean
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
  /** Of a subscription only. */
  readonly acknowledged: ((honoured: Readonly<Record<string, unknown>>) => void) | undefined
}

/** The requests that a server of the 2026 era may answer with a question. */
const mayAsk = new Set(["tools/call", "prompts/get", "resources/read"])

/**
 * What is wrong with the kind of a result in the 2026 era. A result of no kind is complete; only from a server that is not
 * known for sure to speak this revision it may be a sign that it does not.
 *
 * https://modelcontextprotocol.io/specification/2026-07-28/basic/index#result-types
 */
const wrongKind = (method: string, result: Readonly<Record<string, unknown>>, isSure: boolean): string | undefined => {
  const kind = result["resultType"]
  if (kind === "complete" || (kind === undefined && isSure)) return undefined
  if (kind === "input_required") return mayAsk.has(method) ? undefined : "it asks for input, which it may not"
  return kind === undefined ? "it has no resultType" : `its resultType is ${JSON.stringify(kind)}`
}

/** A text has between one and three bytes of UTF-8 for each of its code units; only between is it worth counting. */
const exceeds = (text: string, limit: number): boolean =>
  text.length > limit || (text.length * 3 > limit && new TextEncoder().encode(text).length > limit)

/**
 * The engine of a wire, and the only one. `scrub` takes the secrets out of what the server says in its errors,
 * `onNotification` is told of all notifications in their order, except progress. When the wire ends, every call on it
 * fails and no other is taken.
 *
 * @since 0.1.0
 */
export const make = (
  server: string,
  wire: Wire,
  wheel: DeadlineWheelService,
  limits: ResolvedLimits,
  scrub: Redaction.Scrub,
  onNotification: (notification: Notification) => void
): CallEngine => {
  const pending = new Map<number, Pending>()
  let nextId = firstRequestId
  let strays = 0
  let subscriptions = 0
  let closed: WireClosed | undefined
  let envelope: Readonly<Record<string, unknown>> | undefined
  let refused: ((reason: Reason) => Reason) | undefined

  const fail = (call: Pending, reason: Reason) => {
    const told = refused === undefined ? reason : refused(reason)
    call.settle(new McpError({ reason: told }))
  }

  const onResponse = (call: Pending, frame: Frame) => {
    const { error, result } = frame
    if (isRecord(result)) {
      const wrong = envelope === undefined ? undefined : wrongKind(call.method, result, refused === undefined)
      if (wrong !== undefined) {
        return fail(call, new InvalidResult({ server, request: call.method, detail: scrub(wrong).slice(0, 200) }))
      }
      refused = undefined
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

  /** A word of the server on one of our subscriptions, by the id that it gives. */
  const subscription = (id: unknown): Pending | undefined => {
    const call = typeof id === "number" ? pending.get(id) : undefined
    return call?.acknowledged === undefined ? undefined : call
  }

  const onTold = (method: string, frame: Frame): boolean => {
    const params = isRecord(frame["params"]) ? frame["params"] : {}
    if (method === "notifications/progress") return onProgress(params)
    if (method === "notifications/cancelled") {
      // Of its own requests, which are the SDK's to end, or of a subscription.
      const call = subscription(params["requestId"])
      if (call === undefined) return false
      const detail = "the server has ended the subscription"
      fail(call, new ConnectionLost({ server, detail, stderr: "", delivery: "OutcomeUnknown" }))
      return true
    }
    if (method === "notifications/subscriptions/acknowledged") {
      const meta = isRecord(params["_meta"]) ? params["_meta"] : {}
      const honoured = params["notifications"]
      subscription(meta[SUBSCRIPTION_ID_META_KEY])?.acknowledged?.(isRecord(honoured) ? honoured : {})
      return true
    }
    onNotification(frame["params"] === undefined ? { method } : { method, params })
    return true
  }

  wire.listen({
    onFrame: (frame) => {
      const { id, method } = frame
      if (typeof method === "string") return id === undefined && onTold(method, frame)
      if (typeof id !== "number" || id < firstRequestId) return false
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

  const send = (
    method: string,
    params: Readonly<Record<string, unknown>>,
    options: CallOptions | undefined,
    details: RequestDetails | undefined,
    acknowledged: Pending["acknowledged"]
  ): Effect.Effect<Readonly<Record<string, unknown>>, McpError> =>
    Effect.callback((resume) => {
      if (closed !== undefined) return resume(new McpError({ reason: closed.toReason("NotSent") }))
      const id = nextId++
      const meta = isRecord(params["_meta"]) ? params["_meta"] : undefined
      const frame = {
        jsonrpc: "2.0",
        id,
        method,
        params: { ...params, _meta: { ...envelope, ...TraceContext.current(), ...meta, progressToken: id } }
      } as const
      let body: string
      try {
        body = JSON.stringify(frame)
      } catch (cause) {
        const detail = notJson(params["arguments"] ?? params, cause)
        return resume(new McpError({ reason: new InvalidArguments({ server, request: method, detail }) }))
      }
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
      const now = wheel.now()
      const startedAt = details?.startedAt ?? now
      let heardAt = now
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
      const timedOut = (phase: "Total" | "Idle", delivery: Delivery) => {
        const limit = Duration.millis(phase === "Total" ? total : idle)
        return new McpError({ reason: new CallTimeout({ server, request: method, phase, limit, delivery }) })
      }
      // What came before has used the time up, and it was answered.
      if (now >= startedAt + total) return resume(timedOut("Total", "Answered"))
      // Progress only moves `heardAt`; the deadline is set again, if it must be, when the old one comes.
      const expire = () => {
        const now = wheel.now()
        const phase = now >= startedAt + total ? "Total" : now >= heardAt + idle ? "Idle" : undefined
        if (phase === undefined) return arm(Math.min(startedAt + total, heardAt + idle) - now)
        settle(timedOut(phase, delivery()))
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
        acknowledged,
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
      if (acknowledged === undefined) arm(Math.min(idle, startedAt + total - now))
      const call = pending.get(id)
      const listener: PostListener = {
        onHanded: (is) => {
          handed = is
        },
        onFailure: (reason) => {
          if (call !== undefined && pending.has(id)) fail(call, reason)
        },
        isSettled: () => !pending.has(id)
      }
      cancel = wire.post(frame, body, listener, details?.headers)
      return Effect.sync(() => {
        if (leave()) cancel?.("cancelled by the caller")
      })
    })

  return {
    request: (method, params, options, details) => send(method, params, options, details, undefined),
    listen: (filter, onAcknowledged) =>
      Effect.suspend(() => {
        subscriptions++
        return Effect.ensuring(
          send("subscriptions/listen", { notifications: filter }, undefined, undefined, onAcknowledged),
          Effect.sync(() => subscriptions--)
        )
      }),
    speakModern: (to, whenRefused) => {
      envelope = to
      refused = whenRefused
    },
    setLogLevel: (level) => {
      envelope = { ...envelope, [LOG_LEVEL_META_KEY]: level }
    },
    isClosed: () => closed !== undefined,
    pending: () => pending.size - subscriptions,
    strays: () => strays
  }
}
