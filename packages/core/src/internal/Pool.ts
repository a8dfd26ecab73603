/** The pool: its servers by name, what they share, and the verbs over all of them. */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Authorizers from "../Authorizers.ts"
import type { Catalog } from "../Catalog.ts"
import * as Limits from "../Limits.ts"
import type { CallTool, Platform } from "../McpConnection.ts"
import { McpError, PoolClosed, UnknownServer, UnknownTool } from "../McpError.ts"
import type { ForServer, McpPoolService, Options, Warmed } from "../McpPool.ts"
import type { PoolEvent } from "../PoolEvent.ts"
import { isSame, type Server } from "../ServerSource.ts"
import * as Admission from "./Admission.ts"
import * as DeadlineWheel from "./DeadlineWheel.ts"
import * as Dependencies from "./dependencies.ts"
import { nearest } from "./nearest.ts"
import { ProgramPlaces } from "./Places.ts"
import * as PoolLogs from "./poolLogs.ts"
import * as PoolMetrics from "./poolMetrics.ts"
import type { PoolShared } from "./PoolShared.ts"
import { realTime } from "./realTime.ts"
import * as ServerSlot from "./ServerSlot.ts"

const warmupConcurrency = 32

/** How long the list of tools may take when an error is waiting only for the names in it. */
const naming = Duration.seconds(2)

const defaults = { acquireTimeout: Duration.seconds(30), maxConcurrency: 100, maxWaiting: 1_000 } as const

const assertOrdered = (servers: Readonly<Record<string, Server>>) =>
  Dependencies.assertOrdered(
    Object.entries(servers).map(([name, { limits }]) => ({ name, dependsOn: limits.dependsOn }))
  )

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<McpPoolService, McpError, Platform | Scope.Scope> {
  const named = Object.entries(options.servers)
  assertOrdered(options.servers)
  const namespace = options.namespace ?? "default"
  const acquireTimeout = Limits.span("acquireTimeout", options.acquireTimeout, defaults.acquireTimeout)
  const closeTimeout = Limits.span("closeTimeout", options.closeTimeout, Limits.defaults.closeTimeout)
  const context = yield* Effect.context<Platform>()
  const wheel = yield* DeadlineWheel.make
  const authorizers = yield* Effect.serviceOption(Authorizers.Authorizers)
  const run = yield* FiberSet.runtime(yield* FiberSet.make())<Platform>()
  const events = yield* Effect.acquireRelease(PubSub.sliding<PoolEvent>(4096), PubSub.shutdown)
  const catalogs = yield* SubscriptionRef.make<Catalog>({ version: 0, servers: [], unavailable: [] })
  const over = yield* Deferred.make<void>()
  const slots = new Map<string, ServerSlot.ServerSlot>()
  const discarded = new Set<ServerSlot.ServerSlot>()
  let catalogVersion = 0
  let state: "Running" | "Stopped" | "Closed" = "Running"

  const emit = (event: PoolEvent) => {
    // Not `publishUnsafe`, which keeps the oldest and drops the newest, for all readers.
    Effect.runSync(PubSub.publish(events, event))
  }

  /** Those who gather a snapshot; what changes meanwhile is in it, and published with it. */
  let gathering = 0
  let versionIsNew = false
  let unavailableBefore = ""

  const nextVersion = () => {
    if (!versionIsNew) catalogVersion++
    versionIsNew = true
  }

  const publish = Effect.suspend(() => {
    const enabled = [...slots.values()].filter((slot) => slot.source.disabled === undefined)
    const unavailable = enabled.flatMap((slot) => slot.unavailable() ?? [])
    const names = unavailable.map(({ server }) => server).join("\n")
    // Who cannot be asked any more, or can again, makes it another snapshot.
    if (names !== unavailableBefore) nextVersion()
    unavailableBefore = names
    versionIsNew = false
    const servers = [...slots.values()].flatMap((slot) => slot.knownCatalog() ?? [])
    const catalog: Catalog = { version: catalogVersion, servers, unavailable }
    return Effect.as(
      SubscriptionRef.updateSome(catalogs, (last) =>
        last.version === catalog.version ? Option.none() : Option.some(catalog)
      ),
      catalog
    )
  })

  const gateLimits = {
    maxConcurrency: Limits.count("maxConcurrency", options.maxConcurrency, defaults.maxConcurrency, 1),
    maxWaiting: Limits.count("maxWaiting", options.maxWaiting, defaults.maxWaiting, 0),
    overload: options.overload ?? "suspend",
    acquireTimeout
  }
  const own = Admission.make({ ...gateLimits, scope: "Pool" }, wheel)
  const program = yield* Effect.serviceOption(ProgramPlaces)

  const shared: PoolShared = {
    namespace,
    context,
    wheel,
    authorizers: Option.isSome(authorizers) ? authorizers.value : yield* Authorizers.make,
    gate: Option.match(program, {
      onNone: () => own,
      // Nobody waits there who has no place here, so the queue needs no bound of its own.
      onSome: (places) =>
        Admission.within(
          own,
          Admission.make({ ...gateLimits, scope: "Program", maxWaiting: Infinity }, wheel, places),
          wheel
        )
    }),
    acquireTimeout,
    closeTimeout,
    healthChecks: options.healthChecks ?? {},
    run,
    emit,
    opened: (servers) =>
      Effect.forEach(servers, (server) => slots.get(server)?.open ?? Effect.void, {
        concurrency: "unbounded",
        discard: true
      }),
    ending: (server) => [...discarded].flatMap((slot) => (slot.name === server ? slot.ending() : [])),
    catalogChanged: (server) => {
      nextVersion()
      emit({ _tag: "CatalogChanged", server, version: catalogVersion })
      run(PoolLogs.log("catalogChanged", { namespace, server }))
      if (gathering === 0) run(publish)
    }
  }

  const hideMetrics = PoolMetrics.ofPool(context, namespace, () => ({
    running: shared.gate.running(),
    waiting: shared.gate.waiting()
  }))

  for (const [name, source] of named) {
    slots.set(name, ServerSlot.make(shared, name, source))
  }

  const closedError = (server: string) =>
    new McpError({ reason: new PoolClosed({ server, state: state === "Stopped" ? "Stopped" : "Closed" }) })

  const unknown = (server: string) =>
    state === "Closed"
      ? closedError(server)
      : new McpError({ reason: new UnknownServer({ server, nearest: nearest(server, slots.keys()) }) })

  const withSlot = <A, E, R>(
    server: string,
    f: (slot: ServerSlot.ServerSlot) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | McpError, R> =>
    Effect.suspend((): Effect.Effect<A, E | McpError, R> => {
      const slot = slots.get(server)
      return slot === undefined ? unknown(server) : f(slot)
    })

  /** A call that waited at a server while it was taken out goes to the one that took its place, if one did. */
  const replaced = (slot: ServerSlot.ServerSlot) => (error: unknown) =>
    error instanceof McpError && error.reason._tag === "PoolClosed" && slots.get(slot.name) !== slot

  const onSlot = <A, R>(
    server: string,
    f: (slot: ServerSlot.ServerSlot) => Effect.Effect<A, McpError, R>
  ): Effect.Effect<A, McpError, R> =>
    withSlot(server, (slot) => Effect.catchIf(f(slot), replaced(slot), () => onSlot(server, f)))

  const selected = (server: string | undefined, f: (slot: ServerSlot.ServerSlot) => void) =>
    server === undefined ? Effect.sync(() => slots.forEach(f)) : withSlot(server, (slot) => Effect.sync(() => f(slot)))

  /** A server answers an unknown tool with whatever it likes; the list of its tools tells. */
  const orUnknownTool = (
    slot: ServerSlot.ServerSlot,
    tool: string,
    error: McpError
  ): Effect.Effect<never, McpError> => {
    const { reason } = error
    const suspect =
      (reason._tag === "ProtocolError" && reason.code === -32602) ||
      (reason._tag === "ToolError" && reason.text.startsWith("MCP error -32602"))
    if (!suspect) return error
    const listed = Effect.timeoutOrElse(slot.catalog, { duration: naming, orElse: () => error })
    return Effect.matchEffect(listed, {
      onFailure: () => error,
      onSuccess: ({ tools }) => {
        const names = tools.map((known) => known.name)
        if (names.includes(tool)) return error
        return new McpError({ reason: new UnknownTool({ server: slot.name, tool, nearest: nearest(tool, names) }) })
      }
    })
  }

  /** A span for a request under one of the caller's, and nothing where there is none. */
  const traced = <A>(
    name: string,
    attributes: Readonly<Record<string, string>>,
    request: Effect.Effect<A, McpError>
  ): Effect.Effect<A, McpError> =>
    Effect.withFiber((fiber) =>
      fiber.cache.span === undefined
        ? request
        : Effect.withSpan(request, `McpPool.${name}`, {
            attributes: { namespace, ...attributes },
            captureStackTrace: false
          })
    )

  const callTool = (call: ForServer & CallTool) =>
    traced(
      "callTool",
      { server: call.server, tool: call.tool },
      onSlot(call.server, (slot) =>
        Effect.catch(
          slot.request((connection) => connection.callTool(call)),
          (error) => orUnknownTool(slot, call.tool, error)
        )
      )
    )

  const catalog = Effect.suspend(() => {
    const enabled = [...slots.values()].filter((slot) => slot.source.disabled === undefined)
    gathering++
    return Effect.forEach(enabled, (slot) => Effect.result(slot.catalog), {
      concurrency: warmupConcurrency,
      discard: true
    }).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          gathering--
          // What has been read by then is known all the same.
          if (Exit.isFailure(exit)) run(publish)
        })
      ),
      Effect.andThen(publish)
    )
  })

  const warmOne = (server: string): Effect.Effect<readonly [string, Warmed]> =>
    withSlot(server, (slot) => slot.warm).pipe(
      Effect.catch((error) => Effect.succeed<Warmed>({ ok: false, error })),
      Effect.map((warmed) => [server, warmed] as const)
    )

  const end = (to: "Stopped" | "Closed") =>
    Effect.gen(function* () {
      if (state === "Closed") return
      state = to
      const startedAt = realTime.monotonicTimeNanosUnsafe()
      yield* PoolLogs.log("closingAll", { namespace })
      shared.gate.refuseAll(closedError("*"))
      const all = [...slots.values(), ...discarded].map((slot) => ({
        slot,
        name: slot.name,
        dependsOn: slot.source.limits.dependsOn
      }))
      // At once also for those that end later: nothing is opened while the others close.
      for (const { slot } of all) slot.refuseAll(to)
      const ended = Dependencies.dependentsFirst(all, ({ slot }) => slot.shutDown(to))
      const limit = Duration.times(closeTimeout, Dependencies.depth(all))
      // Each release has its own limit; this one is for a layer of the user's whose release has none.
      const outcomes = yield* Effect.timeoutOption(ended, Duration.times(limit, 1.1)).pipe(
        Effect.provideService(Clock.Clock, realTime)
      )
      const sum = (key: "closed" | "failed") =>
        Option.getOrElse(outcomes, () => []).reduce((total, outcome) => total + outcome[key], 0)
      const closedIn = Duration.nanos(realTime.monotonicTimeNanosUnsafe() - startedAt)
      const failedCount = Option.isNone(outcomes) ? slots.size : sum("failed")
      const closedCount = sum("closed") - sum("failed")
      if (Option.isNone(outcomes)) {
        yield* PoolLogs.log("closeAllTimedOut", {
          namespace,
          limit: PoolLogs.seconds(Duration.toMillis(limit))
        })
      }
      const last: PoolEvent = { _tag: "PoolEnded", state: to, closedCount, failedCount, closedIn }
      if (to === "Closed") {
        hideMetrics()
        for (const slot of slots.values()) slot.hide()
        slots.clear()
        // The last of the events ends their stream, and so does it that of the snapshots.
        PubSub.endUnsafe(events, last)
        yield* Deferred.succeed(over, undefined)
      } else emit(last)
      yield* PoolLogs.log("closedAll", { namespace, closedCount, failedCount })
    }).pipe(Effect.uninterruptible, Effect.provideContext(context))

  const ending = yield* Semaphore.make(1)
  const stop = ending.withPermits(1)(Effect.suspend(() => (state === "Running" ? end("Stopped") : Effect.void)))
  const close = ending.withPermits(1)(end("Closed"))
  yield* Effect.addFinalizer(() => close)

  const refuseIfClosed = (server: string) =>
    Effect.suspend(() => (state === "Closed" ? closedError(server) : Effect.void))

  /** With another server among them, or in the place of one. */
  const assertFits = (server: string, source: Server) =>
    assertOrdered({
      ...Object.fromEntries([...slots.values()].map((slot) => [slot.name, slot.source])),
      [server]: source
    })

  const add = (server: string, source: Server) => {
    const slot = ServerSlot.make(shared, server, source)
    slots.set(server, slot)
    if (state === "Stopped") run(slot.shutDown("Stopped"))
  }

  /** Takes a slot out of use: its running calls end on its connection, which is released with the last of them. */
  const discard = (slot: ServerSlot.ServerSlot) => {
    discarded.add(slot)
    const gone = slot.discard()
    if (slot.knownCatalog() !== undefined) shared.catalogChanged(slot.name)
    run(
      Effect.andThen(
        gone,
        Effect.sync(() => discarded.delete(slot))
      )
    )
  }

  const remove = (server: string) =>
    Effect.sync(() => {
      const slot = slots.get(server)
      if (slot === undefined) return false
      emit({ _tag: "RegistrationChanged", server, change: "Removed" })
      slots.delete(server)
      discard(slot)
      return true
    })

  const replace = (server: string, source: Server) =>
    Effect.andThen(
      refuseIfClosed(server),
      Effect.sync(() => {
        const before = slots.get(server)
        emit({ _tag: "RegistrationChanged", server, change: before === undefined ? "Registered" : "Replaced" })
        // In this order: those who wait for the old one are sent on to the new one.
        add(server, source)
        if (before !== undefined) discard(before)
      })
    )

  const get = (server: string) => onSlot(server, (slot) => slot.acquire)

  const service: McpPoolService = {
    callTool,
    readResource: (read) =>
      traced(
        "readResource",
        { server: read.server },
        onSlot(read.server, (slot) => slot.request((connection) => connection.readResource(read)))
      ),
    getPrompt: (get) =>
      traced(
        "getPrompt",
        { server: get.server, prompt: get.prompt },
        onSlot(get.server, (slot) => slot.request((connection) => connection.getPrompt(get)))
      ),
    complete: (complete) =>
      traced(
        "complete",
        { server: complete.server },
        onSlot(complete.server, (slot) => slot.request((connection) => connection.complete(complete)))
      ),
    catalogOf: (server) =>
      traced(
        "catalogOf",
        { server },
        onSlot(server, (slot) => slot.catalog)
      ),
    catalog,
    catalogs: SubscriptionRef.changes(catalogs).pipe(
      Stream.filter(({ version }) => version > 0),
      Stream.interruptWhen(Deferred.await(over))
    ),
    use: (server, f) => Effect.scopedWith((scope) => Effect.flatMap(Scope.provide(get(server), scope), f)),
    get,
    getIfWarm: (server) => onSlot(server, (slot) => slot.acquireIfWarm),
    status: (server) => withSlot(server, (slot) => Effect.sync(slot.status)),
    statuses: Effect.sync(() => [...slots.values()].map((slot) => slot.status())),
    stats: Effect.gen(function* () {
      const servers = yield* Effect.forEach([...slots.values()], (slot) => slot.stats)
      return {
        namespace,
        initialised: state === "Running",
        registeredServers: servers.map(({ server }) => server),
        activeServers: servers.filter(({ classic }) => classic === "connected").map(({ server }) => server),
        health: Object.fromEntries(servers.map(({ server, status }) => [server, status === "Ready"])),
        servers,
        running: shared.gate.running(),
        waiting: shared.gate.waiting()
      }
    }),
    events: Stream.takeUntil(
      Stream.fromPubSub(events),
      (event) => event._tag === "PoolEnded" && event.state === "Closed"
    ),
    register: (server, source) =>
      Effect.andThen(
        refuseIfClosed(server),
        Effect.sync(() => {
          if (slots.has(server)) return false
          assertFits(server, source)
          emit({ _tag: "RegistrationChanged", server, change: "Registered" })
          add(server, source)
          return true
        })
      ),
    replace: (server, source) =>
      Effect.andThen(
        Effect.sync(() => assertFits(server, source)),
        replace(server, source)
      ),
    remove,
    reload: (servers) =>
      Effect.gen(function* () {
        yield* refuseIfClosed("*")
        assertOrdered(servers)
        for (const server of slots.keys()) if (!Object.hasOwn(servers, server)) yield* remove(server)
        for (const [server, source] of Object.entries(servers)) {
          const before = slots.get(server)
          if (before === undefined || !isSame(before.source, source)) yield* replace(server, source)
        }
      }),
    warmup: (servers) =>
      Effect.suspend(() =>
        Effect.map(
          Effect.forEach(servers ?? [...slots.keys()], warmOne, { concurrency: warmupConcurrency }),
          (results) => Object.fromEntries(results)
        )
      ),
    start: Effect.andThen(
      refuseIfClosed("*"),
      ending.withPermits(1)(
        Effect.sync(() => {
          state = "Running"
          for (const slot of slots.values()) slot.restart()
        })
      )
    ),
    stop,
    close,
    suspend: (server) => selected(server, (slot) => slot.suspend(true)),
    resume: (server) => selected(server, (slot) => slot.suspend(false)),
    reconnect: (server) => withSlot(server, (slot) => slot.reconnect),
    evict: (server) => withSlot(server, (slot) => slot.retire),
    drain: (server, limit) =>
      withSlot(server, (slot) => slot.drain(Limits.span("limit", limit, Limits.defaults.callTimeout)))
  }
  const critical = named.flatMap(([name, { limits }]) => (limits.critical ? [name] : []))
  for (const [, warmed] of yield* Effect.forEach(critical, warmOne, { concurrency: warmupConcurrency })) {
    if (!warmed.ok) return yield* warmed.error
  }
  return service
})
