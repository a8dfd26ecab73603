/** Replaces every secret in a text, the longest first, so that one inside another leaves nothing behind. */
export type Scrub = (text: string) => string

const longestFirst = (secrets: ReadonlyArray<string>) => [...secrets].sort((a, b) => b.length - a.length)

const replaceAll = (text: string, longestFirst: ReadonlyArray<string>): string =>
  longestFirst.reduce((clean, secret) => clean.replaceAll(secret, "<redacted>"), text)

/** `more` are those that come and go, tokens for instance; they are asked for with each text. */
export const make = (secrets: ReadonlyArray<string>, more?: () => ReadonlyArray<string>): Scrub => {
  const ordered = longestFirst(secrets)
  return more === undefined
    ? (text) => replaceAll(text, ordered)
    : (text) => replaceAll(text, longestFirst([...secrets, ...more()]))
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
