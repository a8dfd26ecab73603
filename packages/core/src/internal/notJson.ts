/** Says which of a caller's arguments JSON cannot hold. Looked for only once `JSON.stringify` has refused them. */
const place = (path: ReadonlyArray<string>): string =>
  path.length === 0 ? "the arguments are" : `the argument ${JSON.stringify(path.join("."))} is`

export const notJson = (args: unknown, cause: unknown): string => {
  const above = new Set<unknown>()
  const find = (value: unknown, path: ReadonlyArray<string>): string | undefined => {
    if (typeof value === "bigint") return `${place(path)} a BigInt, which JSON has not; send a number or a text`
    if (typeof value !== "object" || value === null) return undefined
    if (above.has(value)) return `${place(path)} one of the objects that it is part of; JSON has no circles`
    above.add(value)
    for (const [key, inner] of Object.entries(value)) {
      const found = find(inner, [...path, key])
      if (found !== undefined) return found
    }
    above.delete(value)
    return undefined
  }
  try {
    const found = find(args, [])
    if (found !== undefined) return found
  } catch {
    // A getter that throws, or too deep to be walked: the cause itself has to do.
  }
  return `the arguments cannot be written as JSON: ${cause instanceof Error ? cause.message : String(cause)}`
}
