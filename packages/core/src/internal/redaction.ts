/** Replaces every secret in a text, the longest first, so that one inside another leaves nothing behind. */
export type Scrub = (text: string) => string

export const make = (secrets: ReadonlyArray<string>): Scrub => {
  const ordered = [...secrets].sort((a, b) => b.length - a.length)
  return (text) => ordered.reduce((clean, secret) => clean.replaceAll(secret, "<redacted>"), text)
}

/** The same for every text inside a JSON value. */
export const deep =
  (scrub: Scrub) =>
  (value: unknown): unknown => {
    const walk = (part: unknown): unknown => {
      if (typeof part === "string") return scrub(part)
      if (Array.isArray(part)) return part.map(walk)
      if (typeof part !== "object" || part === null) return part
      return Object.fromEntries(Object.entries(part).map(([key, inner]) => [scrub(key), walk(inner)]))
    }
    return walk(value)
  }
