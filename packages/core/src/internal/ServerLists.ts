/** What one server offers: its lists, which connection they are true of, and when they have to be read again. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { ServerCatalog } from "../Catalog.ts"
import type { McpError } from "../McpError.ts"
import type { Borrowing } from "./Borrowing.ts"
import type { Connections } from "./Connections.ts"
import type { Live } from "./Live.ts"
import type { SlotEnv } from "./SlotEnv.ts"
import type { SlotStatus } from "./SlotStatus.ts"

export interface ServerLists {
  /** The lists; reads them when they are not known to be true. */
  readonly read: Effect.Effect<ServerCatalog, McpError>
  /** The lists as they were read last. */
  readonly known: () => ServerCatalog | undefined
  /** Why they could not be read, unless they are known to be true. */
  readonly failure: () => McpError | undefined
  /** Told of each notification of a connection. */
  readonly onNotification: (it: Live, method: string) => Effect.Effect<void>
}

const listChanged = new Set([
  "notifications/tools/list_changed",
  "notifications/resources/list_changed",
  "notifications/prompts/list_changed"
])

/** One reading; all who ask while it can still tell the truth share it. */
interface Reading {
  readonly changes: number
  readonly done: Deferred.Deferred<ServerCatalog, McpError>
}

export const make = (
  { name, pool }: SlotEnv,
  borrow: Borrowing["borrow"],
  { offered, offeredBy }: Pick<Connections, "offered" | "offeredBy">,
  status: SlotStatus
): ServerLists => {
  /** `of` is what these lists are true of; nothing once it has said that they have changed. */
  let lists: { readonly of: unknown; readonly catalog: ServerCatalog } | undefined
  let changes = 0
  let reading: Reading | undefined
  let failure: McpError | undefined

  const readFrom = (it: Live): Effect.Effect<ServerCatalog, McpError> => {
    const changesBefore = changes
    return Effect.map(
      Effect.all(
        {
          tools: it.connection.listTools,
          resources: it.connection.listResources,
          resourceTemplates: it.connection.listResourceTemplates,
          prompts: it.connection.listPrompts
        },
        { concurrency: "unbounded" }
      ),
      (found) => {
        const catalog: ServerCatalog = { server: name, ...found, stale: false }
        const before = lists?.catalog
        lists = { of: changes === changesBefore ? offeredBy(it) : undefined, catalog }
        if (before === undefined || JSON.stringify({ ...before, stale: false }) !== JSON.stringify(catalog)) {
          pool.catalogChanged(name)
        }
        return catalog
      }
    )
  }

  /** Whoever leaves does not end it for the others, so it is the pool's own. */
  const begin = (): Reading => {
    const mine: Reading = { changes, done: Deferred.makeUnsafe() }
    reading = mine
    pool.run(
      borrow(readFrom).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (reading === mine) reading = undefined
            // Only the end of the pool interrupts it.
            const ended = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
            const outcome = ended ? Exit.fail(status.closedError()) : exit
            failure = Option.getOrUndefined(Exit.findErrorOption(outcome))
            Deferred.doneUnsafe(mine.done, outcome)
          })
        ),
        Effect.ignoreCause
      )
    )
    return mine
  }

  const refresh = Effect.suspend(() => {
    const refused = status.refusal()
    if (refused !== undefined) {
      failure = refused
      return refused
    }
    return Deferred.await((reading?.changes === changes ? reading : begin()).done)
  })

  const areFresh = () => offered() !== undefined && lists?.of === offered()

  return {
    read: Effect.suspend(() => (lists !== undefined && areFresh() ? Effect.succeed(lists.catalog) : refresh)),
    known: () => (lists === undefined || areFresh() ? lists?.catalog : { ...lists.catalog, stale: true }),
    failure: () => (areFresh() ? undefined : failure),
    onNotification: (it, method) => {
      if (!listChanged.has(method)) return Effect.void
      changes++
      if (offeredBy(it) !== offered() || lists === undefined) return Effect.void
      lists = { ...lists, of: undefined }
      return Effect.ignore(refresh) // who reads the lists next tries again and meets the failure itself
    }
  }
}
