/**
 * Names of servers and tools, as one name that every model takes: at most 64 of `a-z A-Z 0-9 _ -`, the first a letter or `_`.
 *
 * A name depends on its server and its tool alone, never on what else there is or in which order it came. One that fits
 * is read back with {@link decode}; a long one ends in a hash, and its {@link ToolNames} know whose it is. Two tools never
 * share a name: the rare two whose hashes are equal are both refused, by name.
 *
 * @example
 * ```ts
 * import { ToolNames } from "@scoped-mcp/core"
 *
 * ToolNames.encode({ server: "sql", tool: "execute_query" }) // "sql__execute_query"
 * ToolNames.decode("sql__execute_query") // { server: "sql", tool: "execute_query" }
 * ```
 *
 * @since 0.1.0
 */

/**
 * A tool, by the names its pool knows.
 *
 * @since 0.1.0
 */
export interface ToolRef {
  readonly server: string
  readonly tool: string
}

/**
 * The longest name that every model takes.
 *
 * @since 0.1.0
 */
export const maxLength = 64

const separator = "__"
const hashLength = 26

const escape = (character: string): string => `-Z${character.codePointAt(0)!.toString(16)}-`

/**
 * One half of a name. It neither begins nor ends with `_` and never has two in a row, so that the separator is found; what
 * a model does not take is `-Z`, its code point and `-`, and so is a hyphen that would read as the start of that.
 */
const encodePart = (part: string): string => {
  const characters = Array.from(part)
  return characters
    .map((character, index) => {
      if (/[a-zA-Z0-9]/.test(character)) return character
      const next = characters[index + 1]
      if (character === "-") return next === "Z" ? escape(character) : character
      const safe = character === "_" && index > 0 && next !== undefined && characters[index - 1] !== "_"
      return safe ? character : escape(character)
    })
    .join("")
}

const decodePart = (part: string): string =>
  part.replaceAll(/-Z([0-9a-f]+)-/g, (_, point: string) => String.fromCodePoint(Number.parseInt(point, 16)))

/** The name however long it is. A first character that is no letter gets a `_`, which no half of a name begins with. */
const whole = ({ server, tool }: ToolRef): string => {
  const first = encodePart(server)
  const prefix = first === "" || /^[a-zA-Z]/.test(first) ? "" : "_"
  return `${prefix}${first}${separator}${encodePart(tool)}`
}

/** cyrb53, run with several seeds: 130 bits in base 32, without the platform's cryptography, which is asynchronous. */
const hash = (text: string): string => {
  let digits = ""
  for (let seed = 0; digits.length < hashLength; seed++) {
    let high = 0xdeadbeef ^ seed
    let low = 0x41c6ce57 ^ seed
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      high = Math.imul(high ^ unit, 2654435761)
      low = Math.imul(low ^ unit, 1597334677)
    }
    high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
    low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
    digits +=
      ((high >>> 0) % 2 ** 30).toString(32).padStart(6, "0") + ((low >>> 0) % 2 ** 30).toString(32).padStart(6, "0")
  }
  return digits.slice(0, hashLength)
}

/**
 * The name of a tool for a model.
 *
 * @since 0.1.0
 */
export const encode = (ref: ToolRef): string => {
  const name = whole(ref)
  if (name.length <= maxLength) return name
  // No two `_` in a row: this is how a name with a hash is told from one without.
  const readable = name.replaceAll(/__+/g, "_").slice(0, maxLength - hashLength - 1)
  return `${readable.replace(/_$/, "-")}_${hash(`${ref.server.length}:${ref.server}${ref.tool}`)}`
}

/**
 * The tool of a name that has no hash; nothing when it has one, or was not made by {@link encode}.
 *
 * @since 0.1.0
 */
export const decode = (name: string): ToolRef | undefined => {
  // A `_` before something that is no `_` is the prefix of a first character that is no letter.
  const start = name.startsWith("_") && !name.startsWith(separator) ? 1 : 0
  const at = name.indexOf(separator, start)
  if (at === -1) return undefined
  const ref = { server: decodePart(name.slice(start, at)), tool: decodePart(name.slice(at + separator.length)) }
  return encode(ref) === name ? ref : undefined
}

/**
 * The names of a set of tools, both ways.
 *
 * @since 0.1.0
 */
export interface ToolNames {
  /** The name of a tool; nothing when it is not of the set, or was refused. */
  readonly toName: (ref: ToolRef) => string | undefined
  /** The tool of a name, with or without a hash. */
  readonly fromName: (name: string) => ToolRef | undefined
  /** Every name, in no particular order. */
  readonly names: ReadonlyArray<string>
  /** Groups of different tools whose hashes are equal; none of them has a name. */
  readonly refused: ReadonlyArray<ReadonlyArray<ToolRef>>
}

/**
 * Names a set of tools. A tool that is in it twice counts once.
 *
 * @since 0.1.0
 */
export const make = (refs: Iterable<ToolRef>, name: (ref: ToolRef) => string = encode): ToolNames => {
  const byName = new Map<string, Map<string, ToolRef>>()
  for (const ref of refs) {
    const key = name(ref)
    const group = byName.get(key) ?? new Map<string, ToolRef>()
    byName.set(key, group.set(whole(ref), ref))
  }
  const single = new Map<string, ToolRef>()
  const refused: Array<ReadonlyArray<ToolRef>> = []
  for (const [key, group] of byName) {
    const [first] = group.values()
    if (group.size === 1 && first !== undefined) single.set(key, first)
    else refused.push([...group.values()].sort((one, other) => (whole(one) < whole(other) ? -1 : 1)))
  }
  return {
    toName: (ref) => {
      const key = name(ref)
      const named = single.get(key)
      return named !== undefined && named.server === ref.server && named.tool === ref.tool ? key : undefined
    },
    fromName: (key) => single.get(key),
    names: [...single.keys()],
    refused
  }
}
