/** A transport that answers from recorded frames, each after the time it took when it was recorded. */
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import { type Message, type Exchange, exchanges, isRecord, progressTokenOf } from "./recordingExchange.ts"
import { noticed } from "./settle.ts"

/** A request of the running program that stands for a recorded one. */
interface Standing {
  readonly recordedId: unknown
  readonly recordedToken: unknown
  readonly id: unknown
  readonly token: unknown
}

export interface Replay {
  readonly frames: ReadonlyArray<{ readonly to: "server" | "client"; readonly at: number; readonly frame: Message }>
  /** What two requests have in common when one stands for the other. */
  readonly keyOf: (message: Message) => string
  /** The answer to a request that was never recorded. */
  readonly refuse: (message: Message, recorded: ReadonlyArray<Message>) => Message
}

/** How a recorded frame reads for the request that stands for the recorded one. */
const translate = (frame: Message, standing: (recorded: unknown) => Standing | undefined): Message => {
  if (frame["method"] === undefined) return { ...frame, id: standing(frame["id"])?.id ?? frame["id"] }
  const params = frame["params"]
  if (frame["method"] !== "notifications/progress" || !isRecord(params)) return frame
  return { ...frame, params: { ...params, progressToken: standing(params["progressToken"])?.token ?? null } }
}

export const transport = Effect.fnUntraced(function* ({ frames, keyOf, refuse }: Replay) {
  const run = yield* FiberSet.makeRuntime()
  const recorded = exchanges(frames)
  const used = new Set<Exchange>()
  const standings = new Map<unknown, Standing>()
  const answering = new Map<unknown, Fiber.Fiber<unknown, unknown>>()

  const emit = (message: Message) => {
    noticed()
    outer.onmessage?.(message as unknown as JSONRPCMessage)
  }

  /** The frames that followed, in order. A request that is played again brings what answers it, nothing else. */
  const play = (exchange: Exchange, isAgain: boolean, own?: Standing) => {
    let at = exchange.at
    return Effect.forEach(
      isAgain ? exchange.followers.filter(({ isAnswer }) => isAnswer) : exchange.followers,
      (follower) => {
        const wait = Math.max(0, follower.at - at)
        at = follower.at
        const tell = Effect.sync(() =>
          emit(
            translate(follower.frame, (id) =>
              own !== undefined && (id === own.recordedId || id === own.recordedToken) ? own : standings.get(id)
            )
          )
        )
        return Effect.andThen(wait === 0 ? Effect.yieldNow : Effect.sleep(Duration.millis(wait)), tell)
      },
      { discard: true }
    )
  }

  const start = (exchange: Exchange, isAgain: boolean, own?: Standing) => {
    used.add(exchange)
    return run(play(exchange, isAgain, own))
  }

  const find = (isSame: (recorded: Message) => boolean): Exchange | undefined => {
    const same = recorded.filter(({ frame }) => frame !== undefined && isSame(frame))
    return same.find((exchange) => !used.has(exchange)) ?? same.at(-1)
  }

  const onRequest = (message: Message) => {
    const key = keyOf(message)
    const exchange = find((frame) => frame["id"] !== undefined && keyOf(frame) === key)
    if (exchange === undefined) {
      const requests = recorded.flatMap(({ frame }) =>
        frame?.["method"] === undefined || !("id" in frame) ? [] : [frame]
      )
      run(
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => emit(refuse(message, requests)))
        )
      )
      return
    }
    const own: Standing = {
      recordedId: exchange.frame?.["id"],
      recordedToken: exchange.frame === undefined ? undefined : progressTokenOf(exchange.frame),
      id: message["id"],
      token: progressTokenOf(message)
    }
    standings.set(own.recordedId, own)
    if (own.recordedToken !== undefined) standings.set(own.recordedToken, own)
    answering.set(own.id, start(exchange, used.has(exchange), own))
  }

  const onOther = (message: Message) => {
    const params = message["params"]
    if (message["method"] === "notifications/cancelled" && isRecord(params)) {
      answering.get(params["requestId"])?.interruptUnsafe()
    }
    // An answer to a request of the server is known by its id, a notification by its name.
    const exchange = find((frame) =>
      message["method"] === undefined
        ? frame["method"] === undefined && frame["id"] === message["id"]
        : frame["method"] === message["method"]
    )
    if (exchange !== undefined && !used.has(exchange)) start(exchange, false)
  }

  const outer: Transport = {
    start: () => {
      const first = recorded[0]
      if (first !== undefined) start(first, false)
      return Promise.resolve()
    },
    send: (message) => {
      noticed()
      const frame: Message = { ...message }
      if (frame["method"] !== undefined && frame["id"] !== undefined) onRequest(frame)
      else onOther(frame)
      return Promise.resolve()
    },
    close: () => {
      outer.onclose?.()
      return Promise.resolve()
    }
  }
  return outer
})
