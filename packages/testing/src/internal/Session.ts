/** One connection of a client with a scripted server, whatever carries the frames. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Fault } from "../Fault.ts"
import type { Era } from "../ScriptedServer.ts"
import {
  envelopeVersion,
  error,
  type Frame,
  isRecord,
  isRequestId,
  notification,
  recordOf,
  type RequestId,
  result,
  serverInfoKey,
  subscriptionIdKey
} from "./frames.ts"
import { honoured, isKnownIn, Refusal, respond, serverInfo } from "./methods.ts"
import * as ScriptRun from "./scriptRun.ts"
import type * as ServerState from "./ServerState.ts"
import { accepts } from "./subscriptions.ts"
import * as ToolCall from "./toolCall.ts"
import * as WireFaults from "./wireFaults.ts"

/** The way to the client. */
export interface Line {
  /** `related` is the request whose answer, or progress, it is. */
  readonly send: (frame: Frame, related: RequestId | undefined) => Effect.Effect<void>
  /** Sends a text as it is; without `end` the message it begins goes on. Waits while the other side does not read. */
  readonly sendText: (text: string, related: RequestId | undefined, end: boolean) => Effect.Effect<void>
  /** Ends it without a word, with all that is behind it. It may close the session's scope only from another fibre. */
  readonly cut: (how: WireFaults.Cut) => Effect.Effect<void>
}

export interface Options {
  readonly id: string
  readonly faults: ReadonlyArray<WireFaults.Common>
  readonly counters: WireFaults.Counters
  /** A request that belongs to no session; the journal knows of none. */
  readonly sessionless?: boolean | undefined
  /** Calls of tools are refused with this text, as long as there is one. */
  readonly quoted?: (() => string | undefined) | undefined
}

export interface Session {
  readonly receive: (frame: Frame) => Effect.Effect<void>
  /** Nobody waits for the answer any more. */
  readonly cancel: (id: RequestId) => Effect.Effect<void>
}

const cacheable = new Set([
  "server/discover",
  "tools/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "prompts/list"
])

export const make = Effect.fnUntraced(function* (
  state: ServerState.ServerState<Fault>,
  line: Line,
  options: Options
): Effect.fn.Return<Session, never, Scope.Scope> {
  const { definition, journal } = state
  const { counters, id: session } = options
  const subscriptions = new Map<RequestId, Frame>()
  let era: Era | undefined
  let isCut = false

  const ended = (why: string) =>
    era === undefined ? Effect.void : journal.record({ _tag: "SessionEnded", session, why })

  yield* Effect.addFinalizer(() => (isCut ? Effect.void : ended("closed by the client")))
  // Made after it, so that what still runs has ended before the session has.
  const running = yield* FiberMap.make<RequestId>()

  // Written before it happens, because a process writes nothing afterwards.
  const cut = (how: WireFaults.Cut) =>
    Effect.suspend(() => {
      isCut = true
      return Effect.andThen(ended("cut by the server"), line.cut(how))
    })
  const faults = WireFaults.make(state, options.faults, session, cut)
  const has = (tag: WireFaults.Common["_tag"]) => options.faults.some((fault) => fault._tag === tag)

  const send = (frame: Frame, related: RequestId | undefined) =>
    Effect.andThen(journal.record({ _tag: "FrameSent", session, frame }), line.send(frame, related))

  const sendText = (text: string, related: RequestId | undefined, end: boolean) =>
    Effect.andThen(
      journal.record({ _tag: "TextSent", session, text: text.slice(0, 200) }),
      line.sendText(text, related, end)
    )

  const tell = (told: Frame): Effect.Effect<void> => {
    if (era === "2025") return send(told, undefined)
    const method = String(told["method"])
    const params = recordOf(told["params"])
    const meta = (id: RequestId) => ({ ...params, _meta: { ...recordOf(params["_meta"]), [subscriptionIdKey]: id } })
    return Effect.forEach(
      [...subscriptions].filter(([, filter]) => accepts(filter, method, params)),
      ([id]) => send(notification(method, meta(id)), id),
      { discard: true }
    )
  }

  const open = (as: Era) =>
    Effect.suspend(() => {
      if (era !== undefined || options.sessionless === true) return Effect.void
      era = as
      state.listeners.add(tell)
      return journal.record({ _tag: "SessionOpened", session, era: as })
    })
  yield* Effect.addFinalizer(() => Effect.sync(() => state.listeners.delete(tell)))

  const listen = (params: Frame, id: RequestId) =>
    Effect.gen(function* () {
      const filter = honoured(definition, recordOf(params["notifications"]))
      subscriptions.set(id, filter)
      state.listeners.add(tell)
      const meta = { [subscriptionIdKey]: id }
      yield* send(notification("notifications/subscriptions/acknowledged", { notifications: filter, _meta: meta }), id)
      return yield* Effect.never
    }).pipe(Effect.ensuring(Effect.sync(() => subscriptions.delete(id))))

  /** `initialize` refuses the wrong era with an error of its own. */
  const unknown = (method: string, as: Era): Refusal | undefined =>
    (definition.eras.includes(as) || method === "initialize") && isKnownIn(as, method)
      ? undefined
      : new Refusal(-32_601, `${method} is not offered`)

  const answer = (id: RequestId, method: string, params: Frame, as: Era): Effect.Effect<Frame> => {
    const refused = faults.refusal(method) ?? unknown(method, as)
    const work =
      refused !== undefined
        ? Effect.fail(refused)
        : method === "tools/call"
          ? ToolCall.run(state, { session, quoted: options.quoted?.() }, params, id, send)
          : method === "subscriptions/listen"
            ? listen(params, id)
            : respond(state, method, params)
    return work.pipe(
      Effect.map((value) => result(id, as === "2025" ? value : stamp(method, value))),
      Effect.catchCause((cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
        const reason = Cause.squash(cause)
        return Effect.succeed(
          reason instanceof Refusal
            ? error(id, reason.code, reason.message, reason.data)
            : error(id, -32_603, ToolCall.reasonText(reason))
        )
      })
    )
  }

  const stamp = (method: string, value: Frame): Frame => ({
    resultType: "complete",
    ...(cacheable.has(method) ? { ttlMs: 0, cacheScope: "private" } : {}),
    ...value,
    _meta: { ...recordOf(value["_meta"]), [serverInfoKey]: serverInfo(definition) }
  })

  const sendAnswer = Effect.fnUntraced(function* (id: RequestId, method: string, frame: Frame) {
    if (method === "tools/call" && isRecord(frame["result"])) {
      const text = JSON.stringify(frame)
      if (has("HalfAnswers")) {
        yield* sendText(text.slice(0, text.length / 2), id, false)
        return yield* cut({})
      }
      if (has("EndlessAnswers")) {
        yield* sendText(text.slice(0, -1), id, false)
        return yield* Effect.forever(line.sendText(" ".repeat(65_536), id, false))
      }
    }
    for (const each of yield* faults.onAnswer(method, frame)) yield* send(each, id)
    if (method !== "tools/call") return
    counters.calls++
    yield* faults.onAnswered
  })

  const handle = Effect.fnUntraced(function* (frame: Frame, id: RequestId) {
    const method = String(frame["method"])
    const as: Era = envelopeVersion(frame) === undefined ? "2025" : "2026"
    if (method === "initialize" || method === "server/discover") yield* open(as)
    yield* sendAnswer(id, method, yield* answer(id, method, recordOf(frame["params"]), as))
  })

  const cancel = (id: RequestId) =>
    Effect.andThen(
      journal.record({ _tag: "RequestCancelled", session, requestId: id }),
      faults.ignoresCancellation ? Effect.void : FiberMap.remove(running, id)
    )

  const begin = (frame: Frame): Effect.Effect<void> => {
    const { id, method } = frame
    if (method === "notifications/cancelled") {
      const { requestId } = recordOf(frame["params"])
      return isRequestId(requestId) ? cancel(requestId) : Effect.void
    }
    return typeof method === "string" && isRequestId(id)
      ? Effect.asVoid(FiberMap.run(running, id, handle(frame, id)))
      : Effect.void
  }

  const script = ScriptRun.make(definition.script, {
    begin,
    serve: (frame) => {
      const { id, method } = frame
      return typeof method === "string" && isRequestId(id) ? handle(frame, id) : begin(frame)
    },
    send: (text, related) => sendText(text, related, true),
    failed: (detail) => Effect.andThen(journal.record({ _tag: "ScriptFailed", session, detail }), cut({})),
    hangUp: cut({})
  })

  yield* faults.opening
  yield* script.start

  // One frame after the other, also where each comes with a request of its own.
  const reading = yield* Semaphore.make(1)
  const receive = Effect.fnUntraced(function* (frame: Frame) {
    if (isCut) return
    counters.frames++
    yield* journal.record({ _tag: "FrameReceived", session, frame })
    if (yield* faults.onFrame(frame, counters)) yield* script.onFrame(frame)
  }, reading.withPermits(1))

  return { receive, cancel }
})
