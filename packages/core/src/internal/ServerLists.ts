/** What one server offers: its lists, which connection they are true of, and when they have to be read again. */
import * as Effect from "effect/Effect"
import type { ServerCatalog } from "../Catalog.ts"
import type { McpError } from "../McpError.ts"
import type { Borrowing } from "./Borrowing.ts"
import type { Live } from "./Live.ts"
import type { SlotEnv } from "./SlotEnv.ts"

export interface ServerLists {
  /** The lists; reads them when they are not known to be true. */
  readonly read: Effect.Effect<ServerCatalog, McpError>
  /** The lists as they were read last. */
  readonly known: () => ServerCatalog | undefined
  /** Told of each notification of a connection. */
  readonly onNotification: (it: Live, method: string) => Effect.Effect<void>
}

const listChanged = new Set([
  "notifications/tools/list_changed",
  "notifications/resources/list_changed",
  "notifications/prompts/list_changed"
])

export const make = (
  { name, pool }: SlotEnv,
  borrow: Borrowing["borrow"],
  current: () => Live | undefined
): ServerLists => {
  /** `of` is the connection that these lists are true of; none once it has said that they have changed. */
  let lists: { readonly of: Live | undefined; readonly catalog: ServerCatalog } | undefined
  let changes = 0

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
        lists = { of: changes === changesBefore ? it : undefined, catalog }
        if (before === undefined || JSON.stringify({ ...before, stale: false }) !== JSON.stringify(catalog)) {
          pool.catalogChanged(name)
        }
        return catalog
      }
    )
  }

  const refresh = borrow(readFrom)
  const areFresh = () => current() !== undefined && lists?.of === current()

  return {
    read: Effect.suspend(() => (lists !== undefined && areFresh() ? Effect.succeed(lists.catalog) : refresh)),
    known: () => (lists === undefined || areFresh() ? lists?.catalog : { ...lists.catalog, stale: true }),
    onNotification: (it, method) => {
      if (!listChanged.has(method)) return Effect.void
      changes++
      if (it !== current() || lists === undefined) return Effect.void
      lists = { ...lists, of: undefined }
      return Effect.ignore(refresh) // who reads the lists next tries again and meets the failure itself
    }
  }
}
