/**
 * HTTP on Node.js over undici: one agent, whose sockets are kept alive between requests and closed with the layer. It is
 * loaded with the first request.
 *
 * @since 0.1.0
 */
import * as HttpDispatcher from "@scoped-mcp/core/HttpDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Agent } from "undici"

const errorCode = (error: unknown): string | undefined => {
  if (error instanceof AggregateError) return errorCode(error.errors[0])
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined
}

const errorText = (error: Error): string => error.message || errorCode(error) || error.name

type Dispatch = HttpDispatcher.HttpDispatcher["Service"]["dispatch"]

const send = (agent: Agent, ...[request, listener]: Parameters<Dispatch>): ReturnType<Dispatch> => {
  let abort: ((reason: Error) => void) | undefined
  let ended = false
  agent.dispatch(
    {
      origin: request.url.origin,
      path: `${request.url.pathname}${request.url.search}`,
      method: request.method,
      headers: { ...request.headers },
      body: request.body ?? null
    },
    {
      onRequestStart: (controller) => {
        abort = (reason) => controller.abort(reason)
        if (ended) controller.abort(new Error("aborted"))
      },
      onResponseStart: (_controller, status, headers) => {
        // 102 and 103 come before the answer itself.
        if (ended || status < 200) return
        listener.onResponse(status, (name) => {
          const value = headers[name]
          return Array.isArray(value) ? value.join(", ") : value
        })
      },
      onResponseData: (_controller, chunk) => {
        if (!ended) listener.onData(chunk)
      },
      onResponseEnd: () => {
        if (ended) return
        ended = true
        listener.onEnd()
      },
      onResponseError: (_controller, error) => {
        if (ended) return
        ended = true
        // Undici starts a request in the turn in which it writes it; what failed before found no socket.
        const delivery = abort === undefined ? "NotSent" : "OutcomeUnknown"
        listener.onFailure({ delivery, detail: errorText(error) })
      }
    }
  )
  return () => {
    if (ended) return
    ended = true
    abort?.(new Error("aborted"))
  }
}

/** @since 0.1.0 */
export const make = Effect.gen(function* () {
  let agent: Agent | undefined
  let loading: Promise<Agent> | undefined
  let closed = false

  // It takes as long to load as a process takes to start, and many programs have servers on stdio only.
  const load = () =>
    (loading ??= import("undici").then(({ Agent }) => {
      // Limits on silence are the callers': a tool may think for longer than any default here.
      agent = new Agent({ bodyTimeout: 0, headersTimeout: 0, connect: { timeout: 10_000 } })
      return agent
    }))
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      closed = true
      await (await loading)?.destroy()
    })
  )

  /** Until it is loaded a request waits here, and may be aborted. */
  const sendLater: Dispatch = (request, listener) => {
    let abort: (() => void) | undefined
    let ended = false
    const fail = (detail: string) => {
      if (ended) return
      ended = true
      listener.onFailure({ delivery: "NotSent", detail })
    }
    if (closed) queueMicrotask(() => fail("the layer has ended"))
    else {
      load().then(
        (agent) => {
          if (!ended) abort = send(agent, request, listener)
        },
        (error: unknown) => fail(`undici could not be loaded: ${String(error)}`)
      )
    }
    return () => {
      ended = true
      abort?.()
    }
  }

  return HttpDispatcher.HttpDispatcher.of({
    dispatch: (request, listener) =>
      agent === undefined ? sendLater(request, listener) : send(agent, request, listener),
    fetch: async (url, init) => {
      const { fetch } = await import("undici")
      // An agent that is made now would have nobody to close it.
      if (closed) throw new Error("the layer has ended")
      return fetch(url, { ...(init as object), dispatcher: await load() })
    }
  })
})

/** @since 0.1.0 */
export const layer: Layer.Layer<HttpDispatcher.HttpDispatcher> = Layer.effect(HttpDispatcher.HttpDispatcher, make)
