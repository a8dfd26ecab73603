/**
 * The one record of an HTTP session: its id, the revision agreed on, and what follows from them for the headers of
 * requests. From revision 2026-07-28 on there are no sessions, and each message says itself what it speaks.
 */
import { PROTOCOL_VERSION_META_KEY } from "@modelcontextprotocol/client"
import { isRecord } from "./frames.ts"
import { encodeValue, type Headers } from "./httpHeaders.ts"

export interface HttpSession {
  readonly id: () => string | undefined
  readonly version: () => string | undefined
  readonly isModern: () => boolean
  /** Ids that the server has given and that it still holds. */
  readonly held: ReadonlySet<string>
  /** Forgets what was agreed on, for a fresh handshake. */
  readonly reset: () => void
  /** The server has answered `initialize`. */
  readonly opened: (id: string | undefined) => void
  /** The server no longer knows the session. */
  readonly expired: () => void
  readonly agree: (version: string) => void
  /** Headers of a POST, and of what only says which message it carries: `Mcp-Param-*` of `extra`. */
  readonly forPost: (message: Message, extra?: Headers) => Headers
  readonly forGet: (lastEventId: string | undefined) => Headers
  readonly forDelete: (id: string) => Headers
}

interface Message {
  readonly id?: unknown
  readonly method?: unknown
  readonly params?: unknown
}

const firstModern = "2026-07-28"

/** Where a message names what it is about, for those that say it in a header. */
const nameFields: Readonly<Record<string, string | undefined>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId"
}

/** The revision that a request says it speaks: all of 2026 do, the probe of a handshake among them. */
export const envelopeVersion = ({ id, method, params }: Message): string | undefined => {
  if (id === undefined || method === undefined || !isRecord(params)) return undefined
  const meta = params["_meta"]
  const version = isRecord(meta) ? meta[PROTOCOL_VERSION_META_KEY] : undefined
  return typeof version === "string" ? version : undefined
}

const nameHeader = ({ method, params }: Message): Headers => {
  const field = typeof method === "string" ? nameFields[method] : undefined
  const name = field !== undefined && isRecord(params) ? params[field] : undefined
  return typeof name === "string" ? { "mcp-name": encodeValue(name) } : {}
}

const paramHeaders = (extra: Headers): Headers =>
  Object.fromEntries(Object.entries(extra).filter(([name]) => name.toLowerCase().startsWith("mcp-param-")))

export const make = (declared: Headers): HttpSession => {
  const held = new Set<string>()
  let id: string | undefined
  let version: string | undefined

  const bound = (): Headers => ({
    ...(id === undefined || isModern() ? {} : { "mcp-session-id": id }),
    ...(version === undefined ? {} : { "mcp-protocol-version": version })
  })
  const posting = (bound: Headers): Headers => ({
    ...declared,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    ...bound
  })
  const isModern = () => version !== undefined && version >= firstModern
  // What every call sends is put together once.
  let forEach = posting({})
  const change = () => {
    forEach = posting(bound())
  }

  return {
    id: () => id,
    version: () => version,
    isModern,
    held,
    reset: () => {
      id = undefined
      version = undefined
      change()
    },
    opened: (given) => {
      id = given === "" ? undefined : given
      if (id !== undefined) held.add(id)
      change()
    },
    expired: () => {
      if (id !== undefined) held.delete(id)
    },
    agree: (agreed) => {
      version = agreed
      change()
    },
    forPost: (message, extra) => {
      const speaks = envelopeVersion(message)
      // A new session begins without one.
      if (message.method === "initialize") return posting({})
      if (speaks === undefined) return extra === undefined ? forEach : { ...paramHeaders(extra), ...forEach }
      return {
        ...(extra === undefined ? {} : paramHeaders(extra)),
        ...forEach,
        "mcp-protocol-version": speaks,
        "mcp-method": String(message.method),
        ...nameHeader(message)
      }
    },
    forGet: (lastEventId) => ({
      ...declared,
      accept: "text/event-stream",
      ...bound(),
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
    }),
    forDelete: (ended) => ({ ...declared, ...bound(), "mcp-session-id": ended })
  }
}
