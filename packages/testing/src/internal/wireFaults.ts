/** What the declared faults do to one connection, wherever it runs: when a frame comes, and when an answer goes. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Fault from "../Fault.ts"
import { type Frame, isRecord, recordOf, type RequestId, result } from "./frames.ts"
import { Refusal } from "./methods.ts"
import * as ServerState from "./ServerState.ts"

export type Common = Fault.Wire | Fault.Bytes

const isWire = Schema.is(Fault.Wire)
const isBytes = Schema.is(Fault.Bytes)

/** Whether the fault is one of what is said or of how the bytes arrive, which a session sees to. */
export const isCommon = (fault: Fault.Fault): fault is Common => isWire(fault) || isBytes(fault)

/** How a line, and the process behind it, ends without a word. */
export interface Cut {
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
}

/** What is counted of a connection, or of all requests of a client that keeps none. */
export interface Counters {
  frames: number
  /** Calls of tools that were answered. */
  calls: number
}

export interface WireFaults {
  /** Runs before the first frame is read. */
  readonly opening: Effect.Effect<void, never, Scope.Scope>
  /** False: the frame is dropped, or the line was cut on reading it. */
  readonly onFrame: (frame: Frame, counters: Counters) => Effect.Effect<boolean>
  /** Refuses a request unread. */
  readonly refusal: (method: string) => Refusal | undefined
  /** What is sent in place of an answer, when it is time. */
  readonly onAnswer: (method: string, answer: Frame) => Effect.Effect<ReadonlyArray<Frame>>
  /** Runs when the answer to a call of a tool was sent. */
  readonly onAnswered: Effect.Effect<void>
  readonly ignoresCancellation: boolean
}

const isHandshake = (frame: Frame) => frame["method"] === "initialize" || frame["method"] === "server/discover"

const lists = new Set(["tools/list", "resources/list", "resources/templates/list", "prompts/list"])

const isCall = (method: string) => method === "tools/call"

const withResult = (answer: Frame, change: (value: Record<string, unknown>) => unknown): Frame =>
  isRecord(answer["result"]) ? { ...answer, result: change(answer["result"]) } : answer

/** One answer after the other through every fault that changes it. */
const change = (fault: Common, method: string, answers: ReadonlyArray<Frame>): ReadonlyArray<Frame> => {
  switch (fault._tag) {
    case "NoAnswers":
      return method === fault.method ? [] : answers
    case "WrongShape":
      return method === fault.method
        ? answers.map((answer) => result(answer["id"] as RequestId, fault.result))
        : answers
    case "RepeatedCursor":
      return lists.has(method)
        ? answers.map((answer) => withResult(answer, (value) => ({ ...value, nextCursor: "0" })))
        : answers
    case "HugeAnswers": {
      const content = [{ type: "text", text: "x".repeat(fault.bytes) }]
      return isCall(method)
        ? answers.map((answer) => withResult(answer, (value) => ({ ...recordOf(value), content })))
        : answers
    }
    case "DuplicateAnswers":
      return answers.flatMap((answer) => [answer, answer])
    case "UnknownIds":
      // Far above what a client counts up to.
      return answers.flatMap((answer, index) => [result(8_000_000_000_000 + index, {}), answer])
    default:
      return answers
  }
}

export const make = (
  state: ServerState.ServerState<Fault.Fault>,
  faults: ReadonlyArray<Common>,
  session: string,
  cut: (how: Cut) => Effect.Effect<void>
): WireFaults => {
  const find = <const Tag extends Common["_tag"]>(tag: Tag) => ServerState.find(faults, tag)
  const crash = find("Crash")
  const flapping = find("Flapping")
  const changing = find("ChangingTools")
  const late = find("LateAnswers")

  const strike = (fault: Common) => state.journal.record({ _tag: "FaultStruck", session, fault: Fault.print(fault) })
  const die = (fault: Common, how: Cut = {}) => Effect.andThen(strike(fault), cut(how))
  const flap = Effect.suspend(() =>
    flapping === undefined ? Effect.void : Effect.andThen(ServerState.goDown(state, flapping.down), die(flapping))
  )

  return {
    opening: Effect.gen(function* () {
      const slow = find("SlowStart")
      if (slow !== undefined) yield* Effect.andThen(strike(slow), Effect.sleep(slow.delay))
      if (flapping?.after !== undefined) yield* Effect.forkScoped(Effect.delay(flap, flapping.after))
    }),
    onFrame: Effect.fnUntraced(function* (frame, counters) {
      if (crash !== undefined && (crash.at === "Handshake" ? isHandshake(frame) : crash.at === counters.frames)) {
        yield* die(crash, crash)
        return false
      }
      if (flapping?.calls !== undefined && counters.calls >= flapping.calls && isCall(String(frame["method"]))) {
        yield* flap
        return false
      }
      const mute = find("NoHandshake")
      if (mute === undefined || !isHandshake(frame)) return true
      yield* strike(mute)
      return false
    }),
    refusal: (method) => {
      const fault = faults.find((fault) => fault._tag === "ErrorAnswers" && fault.method === method)
      return fault?._tag === "ErrorAnswers" ? new Refusal(fault.code, fault.message) : undefined
    },
    onAnswer: Effect.fnUntraced(function* (method, answer) {
      for (const fault of faults) {
        if (fault._tag === "SlowAnswers" && fault.method === method) yield* Effect.sleep(fault.delay)
      }
      if (late !== undefined && isCall(method)) yield* Effect.sleep(late.delay)
      return faults.reduce<ReadonlyArray<Frame>>((answers, fault) => change(fault, method, answers), [answer])
    }),
    onAnswered: Effect.gen(function* () {
      state.answered++
      if (changing !== undefined && state.answered % changing.every === 0) {
        state.extraTools++
        yield* strike(changing)
        yield* ServerState.notify(state, "notifications/tools/list_changed", undefined)
      }
    }),
    ignoresCancellation: late !== undefined
  }
}
