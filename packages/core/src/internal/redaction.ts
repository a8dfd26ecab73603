/** Replaces every secret in a text, the longest first, so that one inside another leaves nothing behind. */
export type Scrub = (text: string) => string

export const make = (secrets: ReadonlyArray<string>): Scrub => {
  const ordered = [...secrets].sort((a, b) => b.length - a.length)
  return (text) => ordered.reduce((clean, secret) => clean.replaceAll(secret, "<redacted>"), text)
}
