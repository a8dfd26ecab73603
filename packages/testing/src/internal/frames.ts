/** JSON-RPC frames as the servers of this package read and write them. */

export type Frame = Readonly<Record<string, unknown>>

export type RequestId = string | number

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** An object inside a frame, or an empty one where there is none. */
export const recordOf = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {})

export const isRequestId = (value: unknown): value is RequestId =>
  typeof value === "string" || typeof value === "number"

export const result = (id: RequestId, value: unknown): Frame => ({ jsonrpc: "2.0", id, result: value })

export const error = (id: RequestId | null, code: number, message: string, data?: unknown): Frame => ({
  jsonrpc: "2.0",
  id,
  error: data === undefined ? { code, message } : { code, message, data }
})

export const notification = (method: string, params: Frame = {}): Frame => ({ jsonrpc: "2.0", method, params })

/** The frame in a text, or nothing when it is none. */
export const parse = (text: string): Frame | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined // not JSON: the caller answers or counts it
  }
}

/** True when every member of the pattern is in the value, at every depth; lists are compared whole. */
export const matches = (value: unknown, pattern: unknown): boolean =>
  isRecord(pattern)
    ? isRecord(value) && Object.entries(pattern).every(([key, part]) => matches(value[key], part))
    : Array.isArray(pattern)
      ? Array.isArray(value) && value.length === pattern.length && pattern.every((part, i) => matches(value[i], part))
      : Object.is(value, pattern)

/** The versions of the protocol that a server here speaks, by era. */
export const versions = { "2025": ["2025-11-25", "2025-06-18", "2025-03-26"], "2026": ["2026-07-28"] } as const

const meta = "io.modelcontextprotocol/"
const protocolVersionKey = `${meta}protocolVersion`
export const serverInfoKey = `${meta}serverInfo`
export const subscriptionIdKey = `${meta}subscriptionId`

/** The protocol version that a request of the 2026 era names in its envelope. */
export const envelopeVersion = (frame: Frame): string | undefined => {
  const version = recordOf(recordOf(frame["params"])["_meta"])[protocolVersionKey]
  return typeof version === "string" ? version : undefined
}
