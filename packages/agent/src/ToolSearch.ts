/**
 * Finds tools by words: BM25 over their names, titles, descriptions and arguments, the name counting most. Deterministic,
 * and without a model.
 *
 * @since 0.1.0
 */

/**
 * What of a tool is searched.
 *
 * @since 0.1.0
 */
export interface Searchable {
  readonly name: string
  readonly server: string
  readonly tool: string
  readonly description: string
  readonly inputSchema: Readonly<Record<string, unknown>>
}

/**
 * A tool that was found. A higher score is a better match; scores of different searches do not compare.
 *
 * @since 0.1.0
 */
export interface Found<A> {
  readonly tool: A
  readonly score: number
}

/** How fast a repeated word stops counting, and how much long descriptions are held back: the usual figures of BM25. */
const saturation = 1.2
const lengthPenalty = 0.5

const nameWeight = 4
const serverWeight = 2
const argumentWeight = 1

/** Words in lower case, of `snake_case`, `kebab-case` and `camelCase` alike, without a plural's `s`. */
const words = (text: string): ReadonlyArray<string> =>
  text
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "")
    .map((word) => (word.length > 3 && word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word))

const weigh = (tool: Searchable): ReadonlyMap<string, number> => {
  const weights = new Map<string, number>()
  const add = (text: string, weight: number) => {
    for (const word of words(text)) weights.set(word, (weights.get(word) ?? 0) + weight)
  }
  add(tool.tool, nameWeight)
  add(tool.server, serverWeight)
  add(tool.description, 1)
  const { properties } = tool.inputSchema
  if (typeof properties === "object" && properties !== null) add(Object.keys(properties).join(" "), argumentWeight)
  return weights
}

/**
 * Prepares a search over tools. The result finds the best first, at most `limit`; tools without any of the words are not
 * found. Equal scores are ordered by name.
 *
 * @since 0.1.0
 */
export const make = <A extends Searchable>(
  tools: ReadonlyArray<A>
): ((query: string, limit: number) => ReadonlyArray<Found<A>>) => {
  const documents = tools.map((tool) => {
    const weights = weigh(tool)
    return { tool, weights, length: [...weights.values()].reduce((sum, weight) => sum + weight, 0) }
  })
  const average = documents.reduce((sum, { length }) => sum + length, 0) / Math.max(documents.length, 1)
  const holders = new Map<string, number>()
  for (const { weights } of documents) {
    for (const word of weights.keys()) holders.set(word, (holders.get(word) ?? 0) + 1)
  }
  const rarity = (word: string) => {
    const count = holders.get(word) ?? 0
    return Math.log(1 + (documents.length - count + 0.5) / (count + 0.5))
  }

  return (query, limit) => {
    const sought = [...new Set(words(query))]
    return documents
      .map(({ length, tool, weights }) => {
        const norm = saturation * (1 - lengthPenalty + (lengthPenalty * length) / average)
        const score = sought.reduce((sum, word) => {
          const weight = weights.get(word) ?? 0
          return sum + (rarity(word) * weight * (saturation + 1)) / (weight + norm)
        }, 0)
        return { tool, score }
      })
      .filter(({ score }) => score > 0)
      .sort((one, other) => other.score - one.score || (one.tool.name < other.tool.name ? -1 : 1))
      .slice(0, limit)
  }
}
