/** Reads the whole of a list, page by page, within the limits of one call. */
import type { Prompt, Resource, ResourceTemplateType, Tool } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import type { CallEngine } from "../CallEngine.ts"
import { listing } from "../Limits.ts"
import { InvalidResult, McpError, ProtocolError } from "../McpError.ts"
import type { DeadlineWheelService } from "./DeadlineWheel.ts"
import { isRecord } from "./frames.ts"

/** One of the lists that a server may offer. */
export interface Kind<A> {
  readonly method: string
  /** The member of the result that has the items. */
  readonly key: string
  /** The members that an item must have as texts; the rest is the reader's to judge. */
  readonly texts: ReadonlyArray<string>
  /** The members that an item must have as objects. */
  readonly objects: ReadonlyArray<string>
  /** No item: it is here for its type. */
  readonly item?: A
}

export const tools: Kind<Tool> = { method: "tools/list", key: "tools", texts: ["name"], objects: ["inputSchema"] }

export const resources: Kind<Resource> = {
  method: "resources/list",
  key: "resources",
  texts: ["uri", "name"],
  objects: []
}

export const resourceTemplates: Kind<ResourceTemplateType> = {
  method: "resources/templates/list",
  key: "resourceTemplates",
  texts: ["uriTemplate", "name"],
  objects: []
}

export const prompts: Kind<Prompt> = { method: "prompts/list", key: "prompts", texts: ["name"], objects: [] }

const missing = (kind: Kind<unknown>, item: unknown): string | undefined => {
  if (!isRecord(item)) return "is no object"
  const text = kind.texts.find((name) => typeof item[name] !== "string")
  if (text !== undefined) return `has no ${text}`
  const object = kind.objects.find((name) => !isRecord(item[name]))
  return object === undefined ? undefined : `has no ${object}`
}

export const all = Effect.fnUntraced(function* <A>(
  server: string,
  engine: CallEngine,
  wheel: DeadlineWheelService,
  kind: Kind<A>
): Effect.fn.Return<ReadonlyArray<A>, McpError> {
  const request = kind.method
  const invalid = (detail: string) => new McpError({ reason: new InvalidResult({ server, request, detail }) })
  const refused = (detail: string) =>
    new McpError({ reason: new ProtocolError({ server, request, detail, delivery: "Answered" }) })
  // The limits are those of one call, for all of the pages together.
  const startedAt = wheel.now()
  const items: Array<A> = []
  const read = new Set<string>()
  let cursor: string | undefined
  for (;;) {
    const params = cursor === undefined ? {} : { cursor }
    const page = yield* engine.request(request, params, undefined, { startedAt })
    const found = page[kind.key]
    if (!Array.isArray(found)) return yield* invalid(`it has no list of ${kind.key}`)
    for (const item of found) {
      const wrong = missing(kind, item)
      if (wrong !== undefined) return yield* invalid(`item ${items.length + 1} ${wrong}`)
      if (items.length === listing.maxItems) {
        return yield* refused(`it lists more than ${listing.maxItems} items, which is the limit`)
      }
      items.push(item as A)
    }
    const next = page["nextCursor"] ?? undefined
    if (next === undefined) return items
    if (typeof next !== "string") return yield* invalid("its cursor is no text")
    if (read.has(next)) return yield* refused("its cursor points back to a page that was read already")
    read.add(next)
    if (read.size === listing.maxPages) {
      return yield* refused(`it lists more than ${listing.maxPages} pages, which is the limit`)
    }
    cursor = next
  }
})
