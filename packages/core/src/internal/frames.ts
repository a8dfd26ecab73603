/** Reading JSON-RPC frames, without a copy and without a schema per message: this is the path of every call. */
import { isTooDeep } from "./depth.ts"

/** Ids of the engine's requests start here, so that they never meet the SDK's, which count from 0. */
export const firstRequestId = 1_000_000_000

export type Frame = Record<string, unknown>

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The frame in a text, or nothing when it is no JSON-RPC message. */
export const parseFrame = (text: string): Frame | undefined => {
  // A message starts with a brace; whatever else a server prints is told apart without the cost of an exception.
  if (!text.trimStart().startsWith("{") || isTooDeep(text)) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) && value["jsonrpc"] === "2.0" ? value : undefined
  } catch {
    return undefined // not JSON: the caller counts it as noise
  }
}

// Members of the message itself only: data of a tool may hold anything that looks like an id. At the start the result
// or error comes next, so that what precedes it is known; at the end the last brace is that of the message, and a comma
// and an unescaped quote are not in a text.
const version = String.raw`"jsonrpc"\s*:\s*"2\.0"`
const id = String.raw`"id"\s*:\s*(\d{10,15})`
const atStart = new RegExp(
  String.raw`^\s*\{\s*(?:${version}\s*,\s*)?${id}\s*,\s*(?:${version}\s*,\s*)?"(?:result|error)"\s*:`
)
const atEnd = new RegExp(String.raw`,\s*${id}\s*(?:,\s*${version}\s*)?\}\s*$`)

const idIn = (pattern: RegExp, piece: string): number | undefined => {
  const digits = pattern.exec(piece)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The id of the request that is answered by a message which begins like this, if it is the engine's and comes first. */
export const answeredAtStart = (head: string): number | undefined => idIn(atStart, head)

/** The same for a message that ends like this. */
export const answeredAtEnd = (tail: string): number | undefined => idIn(atEnd, tail)

const unasked = new RegExp(String.raw`^\s*\{\s*(?:${version}\s*,\s*)?"method"\s*:`)

/** Whether a message that begins like this is a notification, or a request, rather than an answer. */
export const isUnasked = (head: string): boolean => unasked.test(head)
