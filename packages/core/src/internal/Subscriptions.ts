/**
 * What a server is asked to tell of: changes of its lists, and of single resources. In the 2025 era it tells of lists by
 * itself and of resources when it is asked to; in the 2026 era each is a request that stays open, and is made again when
 * it is lost.
 *
 * https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions
 */
import type { Notification, ServerCapabilities } from "@modelcontextprotocol/client"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import type { CallEngine } from "../CallEngine.ts"
import { type ResolvedLimits, sessionDeleteTimeout } from "../Limits.ts"
import { CallTimeout, McpError, ProtocolError } from "../McpError.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"

export interface Options {
  readonly server: string
  readonly engine: CallEngine
  readonly wheel: DeadlineWheelService
  readonly limits: ResolvedLimits
  readonly era: "legacy" | "modern"
  readonly capabilities: ServerCapabilities
  readonly notify: (notification: Notification) => void
}

export interface Subscriptions {
  /** Until the scope closes the server tells when the resource changes. Callers of one resource share a subscription. */
  readonly subscribe: (uri: string) => Effect.Effect<void, McpError, Scope.Scope>
}

type Filter = Readonly<Record<string, unknown>>

const firstPause = 500
const longestPause = 30_000

/** Longer each time, up to a ceiling, and never the same for many who lost it together. */
const pauseAfter = (failures: number): Effect.Effect<Duration.Duration> =>
  Effect.map(Random.next, (chance) =>
    Duration.millis(Math.min(longestPause, firstPause * 2 ** Math.min(failures, 10)) * (0.75 + chance / 2))
  )

/** Not worth another try: the server does not know the request, or cannot read it. */
const isFinal = (error: McpError): boolean =>
  error.reason._tag === "AuthRequired" ||
  error.reason._tag === "AuthorizationFailed" ||
  (error.reason._tag === "ProtocolError" && [-32_601, -32_602].includes(error.reason.code ?? 0))

const listChanges = (capabilities: ServerCapabilities): ReadonlyArray<readonly [filter: string, method: string]> =>
  (["tools", "prompts", "resources"] as const)
    .filter((kind) => capabilities[kind]?.listChanged === true)
    .map((kind) => [`${kind}ListChanged`, `notifications/${kind}/list_changed`] as const)

export const make = Effect.fnUntraced(function* ({
  capabilities,
  engine,
  era,
  limits,
  notify,
  server,
  wheel
}: Options): Effect.fn.Return<Subscriptions, never, Scope.Scope> {
  const refused = (request: string, detail: string, delivery: "NotSent" | "Answered") =>
    new McpError({ reason: new ProtocolError({ server, request, detail, delivery }) })

  /**
   * Holds a subscription open until it is interrupted or refused for good. `onOpen` is told each time that the server has
   * acknowledged it, with what it will tell of; false: that is not worth holding.
   */
  const hold = (
    filter: Filter,
    onOpen: (honoured: Filter, again: boolean) => boolean
  ): Effect.Effect<void, McpError> => {
    let failures = 0
    let opened: number | undefined
    let over = false
    const once = Effect.suspend(() => {
      let since: number | undefined
      const listening = engine.listen(filter, (honoured) => {
        since = wheel.now()
        over = !onOpen(honoured, opened !== undefined)
        opened = since
      })
      // One that held for a while was none that fails.
      const ended = Effect.sync(() => {
        if (since !== undefined && wheel.now() - since >= longestPause) failures = 0
      })
      return Effect.ensuring(listening, ended)
    })
    const wait = Effect.flatMap(
      Effect.suspend(() => pauseAfter(failures++)),
      Effect.sleep
    )
    const next: Effect.Effect<void, McpError> = Effect.flatMap(
      // A server ends one, in good order, when it is about to end itself.
      Effect.catchIf(
        once,
        (error) => !isFinal(error) && !engine.isClosed(),
        () => Effect.void
      ),
      () =>
        over
          ? Effect.void
          : Effect.andThen(
              wait,
              Effect.suspend(() => next)
            )
    )
    return next
  }

  const lists = listChanges(capabilities)
  if (era === "modern" && lists.length > 0) {
    const filter = Object.fromEntries(lists.map(([name]) => [name, true]))
    const held = hold(filter, (honoured, again) => {
      // What changed meanwhile nobody will tell; whoever keeps the lists has to read them again.
      if (again) for (const [, method] of lists) notify({ method })
      return Object.keys(honoured).length > 0
    })
    yield* Effect.forkScoped(
      Effect.catch(held, (error) => Effect.logDebug(`"${server}" will not tell of changes: ${error.message}`))
    )
  }

  const listenTo = Effect.fnUntraced(function* (uri: string) {
    const request = `subscriptions/listen "${uri}"`
    const opened = yield* Deferred.make<void, McpError>()
    const held = hold({ resourceSubscriptions: [uri] }, (honoured, again) => {
      const uris = honoured["resourceSubscriptions"]
      const heard = Array.isArray(uris) && uris.includes(uri)
      const outcome = heard ? Effect.void : refused(request, "the server does not tell of this resource", "Answered")
      Deferred.doneUnsafe(opened, outcome)
      if (again) notify({ method: "notifications/resources/updated", params: { uri } })
      return heard
    })
    yield* Effect.forkScoped(Effect.catch(held, (error) => Deferred.fail(opened, error)))
    const limit = limits.callIdleTimeout
    yield* Effect.timeoutOrElse(Deferred.await(opened), {
      duration: limit,
      orElse: () =>
        Effect.fail(
          new McpError({
            reason: new CallTimeout({ server, request, phase: "Idle", limit, delivery: "OutcomeUnknown" })
          })
        )
    })
  })

  const ask = (uri: string) => {
    const limit = Duration.min(limits.closeTimeout, sessionDeleteTimeout)
    return Effect.acquireRelease(
      engine.request("resources/subscribe", { uri }),
      // Whether the server still tells of it does not matter to anybody.
      () => Effect.ignore(engine.request("resources/unsubscribe", { uri }, { timeout: limit, idleTimeout: limit })),
      { interruptible: true }
    )
  }

  const held = yield* RcMap.make({
    lookup: (uri: string): Effect.Effect<void, McpError, Scope.Scope> => {
      if (era === "modern") return listenTo(uri)
      if (capabilities.resources?.subscribe === true) return Effect.asVoid(ask(uri))
      return refused(`resources/subscribe "${uri}"`, "it does not offer subscriptions", "NotSent")
    }
  })

  return { subscribe: (uri) => RcMap.get(held, uri) }
})
