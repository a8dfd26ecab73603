/** Values of the runtime as programs outside of it read them: lengths of time in milliseconds, errors as our own classes. */
import { McpError } from "@scoped-mcp/core"
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import * as Errors from "../errors.ts"

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Data of ours, all through. What a server sent is plain already. */
export const plain = (value: unknown): unknown => {
  if (Duration.isDuration(value)) return Duration.toMillis(value)
  if (value instanceof McpError.McpError) return error(value)
  if (isReason(value)) return error(new McpError.McpError({ reason: value }))
  if (Redacted.isRedacted(value)) return "<redacted>"
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === "object" && value !== null && isPlain(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]))
  }
  return value
}

const isReason = (value: unknown): value is McpError.Reason =>
  value instanceof Error && "_tag" in value && typeof value._tag === "string" && value._tag in Errors.byReason

/** The error of ours that a reason of the runtime becomes. */
export const error = (failed: McpError.McpError): Errors.McpError => {
  const { reason } = failed
  const fields = Object.fromEntries(
    Object.entries(reason)
      .filter(([name]) => name !== "_tag" && name !== "stack" && name !== "message" && name !== "cause")
      .map(([name, value]) => [name, plain(value)])
  )
  return new Errors.byReason[reason._tag](failed.message, { ...fields, delivery: failed.delivery } as never)
}
