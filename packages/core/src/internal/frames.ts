/** Reading JSON-RPC frames, without a copy and without a schema per message: this is the path of every call. */

/** Ids of the engine's requests start here, so that they never meet the SDK's, which count from 0. */
export const firstRequestId = 1_000_000_000

export type Frame = Record<string, unknown>

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The frame in a text, or nothing when it is no JSON-RPC message. */
export const parseFrame = (text: string): Frame | undefined => {
  // A message starts with a brace; whatever else a server prints is told apart without the cost of an exception.
  if (!text.trimStart().startsWith("{")) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) && value["jsonrpc"] === "2.0" ? value : undefined
  } catch {
    return undefined // not JSON: the caller counts it as noise
  }
}

/** The ids in a piece of a message that could be those of the engine's requests; data of a tool may look the same. */
export const requestIdsIn = (piece: string): ReadonlyArray<number> =>
  [...piece.matchAll(/"id"\s*:\s*(\d{10,15})\b/g)].map(([, digits]) => Number(digits))
