/** One mistake in a configuration file: where it is, and what was expected there. */
export interface Problem {
  readonly path: ReadonlyArray<PropertyKey>
  readonly expected: string
}

/** `servers.files.args[1]`, as people write it; a key that is no word stands in quotes. */
export const formatPath = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`
    const key = String(part)
    if (!/^[\w-]+$/.test(key)) return `${text}[${JSON.stringify(key)}]`
    return text === "" ? key : `${text}.${key}`
  }, "")
