/** The handlers of the host as one thing: what we tell servers of them, and the answer to a request of either era. */
import type { ClientCapabilities, ElicitRequestFormParams, ElicitRequestURLParams } from "@modelcontextprotocol/client"
import type { CreateMessageRequestParams, ElicitResult } from "@modelcontextprotocol/client"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import { Elicitation, type Refused, Roots, Sampling } from "../HostHandlers.ts"
import { isRecord } from "./frames.ts"

const methods = ["sampling/createMessage", "elicitation/create", "roots/list"] as const

type Method = (typeof methods)[number]

/** What the server is told, in our words or in the host's own; never a defect, which may say anything. */
export interface Failure {
  readonly code: number
  readonly text: string
}

export interface Host {
  readonly capabilities: ClientCapabilities
  /** The methods that have a handler. */
  readonly handles: ReadonlyArray<Method>
  readonly answer: (method: string, params: unknown) => Effect.Effect<Readonly<Record<string, unknown>>, Failure>
  readonly rootsChanged: Stream.Stream<unknown> | undefined
}

const invalidParams = -32_602
const internalError = -32_603
const methodNotFound = -32_601
/** The code that the specification gives to a refusal of the user. */
const userRefused = -1

/** Requests of one server that are answered at the same time. */
const maxAtOnce = 32

const refuse = (code: number, text: string) => Effect.fail<Failure>({ code, text })

/** What an accepted form leaves out is as its schema says it would be. */
const withDefaults = (request: ElicitRequestFormParams, result: ElicitResult): ElicitResult => {
  if (result.action !== "accept") return result
  const given = Object.entries(result.content ?? {}).filter(([, value]) => value !== undefined)
  const names = new Set(given.map(([name]) => name))
  const defaults = Object.entries(request.requestedSchema.properties).flatMap(([name, schema]) =>
    !names.has(name) && isRecord(schema) && schema["default"] !== undefined ? [[name, schema["default"]] as const] : []
  )
  return { ...result, content: Object.fromEntries([...given, ...defaults]) as ElicitResult["content"] }
}

export const make = Effect.fnUntraced(function* (server: string): Effect.fn.Return<Host> {
  const sampling = Option.getOrUndefined(yield* Effect.serviceOption(Sampling))
  const elicitation = Option.getOrUndefined(yield* Effect.serviceOption(Elicitation))
  const roots = Option.getOrUndefined(yield* Effect.serviceOption(Roots))
  const from = { server }
  const { form, url } = elicitation ?? {}
  const asks = form !== undefined || url !== undefined
  let running = 0

  const elicit = (params: Readonly<Record<string, unknown>>) => {
    const mode = params["mode"] ?? "form"
    if (typeof params["message"] !== "string") return refuse(invalidParams, "the question has no message")
    if (mode === "url") {
      if (url === undefined) return refuse(invalidParams, "this host sends nobody to an address")
      if (typeof params["url"] !== "string") return refuse(invalidParams, "the question has no address")
      return url(params as unknown as ElicitRequestURLParams, from)
    }
    if (mode !== "form" || form === undefined) return refuse(invalidParams, "this host does not show such a question")
    const schema = params["requestedSchema"]
    if (!isRecord(schema) || !isRecord(schema["properties"])) {
      return refuse(invalidParams, "the question has no schema of an object")
    }
    const request = params as unknown as ElicitRequestFormParams
    return Effect.map(form(request, from), (result) => withDefaults(request, result))
  }

  const handle = (method: string, params: unknown): Effect.Effect<object, Failure | Refused> => {
    const given = isRecord(params) ? params : {}
    if (method === "sampling/createMessage" && sampling !== undefined) {
      if (!Array.isArray(given["messages"])) return refuse(invalidParams, "the question has no messages")
      return sampling.createMessage(given as unknown as CreateMessageRequestParams, from)
    }
    if (method === "elicitation/create" && asks) return elicit(given)
    if (method === "roots/list" && roots !== undefined) return Effect.map(roots.list(from), (list) => ({ roots: list }))
    return refuse(methodNotFound, `this host does not answer ${method}`)
  }

  return {
    capabilities: {
      ...(sampling === undefined ? {} : { sampling: sampling.tools === true ? { tools: {} } : {} }),
      ...(asks
        ? {
            elicitation: {
              ...(form === undefined ? {} : { form: { applyDefaults: true } }),
              ...(url === undefined ? {} : { url: {} })
            }
          }
        : {}),
      ...(roots === undefined ? {} : { roots: roots.changes === undefined ? {} : { listChanged: true } })
    },
    handles: methods.filter(
      (method) =>
        (method === "sampling/createMessage" && sampling !== undefined) ||
        (method === "elicitation/create" && asks) ||
        (method === "roots/list" && roots !== undefined)
    ),
    answer: (method, params) =>
      Effect.suspend(() => {
        if (running >= maxAtOnce) return refuse(internalError, `this host answers ${maxAtOnce} requests at a time`)
        running++
        return Effect.suspend(() => handle(method, params)).pipe(
          Effect.map((result) => result as Readonly<Record<string, unknown>>),
          Effect.catchCause((cause) => {
            const error = Option.getOrUndefined(Cause.findErrorOption(cause))
            if (error === undefined && Cause.hasInterruptsOnly(cause)) return Effect.interrupt
            if (error === undefined) {
              return Effect.andThen(
                Effect.logError(`The host's handler of ${method} failed`, cause),
                refuse(internalError, "the host could not answer")
              )
            }
            return "code" in error ? Effect.fail(error) : refuse(userRefused, error.text)
          }),
          Effect.ensuring(Effect.sync(() => running--)),
          Effect.annotateLogs({ server })
        )
      }),
    rootsChanged: roots?.changes
  }
})
