/** Takes secrets out of frames before they are kept, and counts what it took. */
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"

export type Secret = string | Redacted.Redacted<string>

const rules = ["given secrets", "values of secret names", "credentials in texts"] as const
type Rule = (typeof rules)[number]

export interface Scrub {
  readonly value: (value: unknown) => Schema.Json
  /** How often each rule has met something. */
  readonly applied: () => ReadonlyArray<{ readonly rule: string; readonly count: number }>
}

const secretName =
  /^(proxy-)?authorization$|^(set-)?cookie$|api[-_]?key|access[-_]?key|private[-_]?key|token$|secret|passw(or)?d|credential/i

/** Names a stream of progress, never a person. */
const plainNames = new Set(["progressToken"])

const credentials = /\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/g

const hidden = "<redacted>"

/** Shorter ones are only replaced where they are the whole value: elsewhere that would garble. */
const searchable = 6

const spellings = (secret: string): ReadonlyArray<string> => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString("base64"),
  Buffer.from(secret).toString("base64url")
]

export const make = (given: ReadonlyArray<Secret>): Scrub => {
  const secrets = given.map((secret) => (typeof secret === "string" ? secret : Redacted.value(secret))).filter(Boolean)
  const whole = new Set(secrets)
  const parts = [...new Set(secrets.filter((secret) => secret.length >= searchable).flatMap(spellings))]
    // The longest first, so that one inside another leaves nothing behind.
    .sort((a, b) => b.length - a.length)
  const counts = new Map<Rule, number>(rules.map((rule) => [rule, 0]))
  const hide = (rule: Rule): string => {
    counts.set(rule, (counts.get(rule) ?? 0) + 1)
    return hidden
  }

  const text = (value: string): string => {
    if (whole.has(value)) return hide("given secrets")
    const clean = parts.reduce((clean, part) => clean.replaceAll(part, () => hide("given secrets")), value)
    return clean.replaceAll(credentials, (_, scheme: string) => `${scheme} ${hide("credentials in texts")}`)
  }

  const value = (input: unknown): Schema.Json => {
    if (typeof input === "string") return text(input)
    if (typeof input === "number") return whole.has(String(input)) ? hide("given secrets") : input
    if (typeof input === "boolean" || input === null) return input
    if (Array.isArray(input)) return input.map(value)
    if (typeof input !== "object") return null
    return Object.fromEntries(
      Object.entries(input).flatMap(([name, inner]: [string, unknown]): ReadonlyArray<[string, Schema.Json]> => {
        if (inner === undefined) return []
        const isSecret = typeof inner === "string" && secretName.test(name) && !plainNames.has(name) && inner !== hidden
        return [[text(name), isSecret ? hide("values of secret names") : value(inner)]]
      })
    )
  }

  return {
    value,
    applied: () => [...counts].filter(([, count]) => count > 0).map(([rule, count]) => ({ rule, count }))
  }
}
