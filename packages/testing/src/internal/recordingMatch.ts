/** When two requests are the same, and which recorded one is nearest to one that is not among them. */
import { isRecord } from "./recordingExchange.ts"

/** Who the client is and what it can do changes with every release of it. */
const handshake = new Set(["initialize", "server/discover"])

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isRecord(value)) return value
  const names = Object.keys(value).sort()
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]))
}

/** Parameters without `_meta`, which holds what belongs to one sending: progress token, trace, client. */
const paramsOf = (message: unknown): unknown => {
  const params = isRecord(message) ? message["params"] : undefined
  if (!isRecord(params)) return {}
  const { _meta, ...rest } = params
  return sorted(rest)
}

const methodOf = (message: unknown): string => (isRecord(message) ? String(message["method"]) : "")

export const key = (message: unknown): string => {
  const method = methodOf(message)
  return handshake.has(method) ? method : `${method} ${JSON.stringify(paramsOf(message))}`
}

const shownLength = 300

export const show = (message: unknown): string => {
  const text = `"${methodOf(message)}" with ${JSON.stringify(paramsOf(message))}`
  return text.length > shownLength ? `${text.slice(0, shownLength)}…` : text
}

const leaves = (value: unknown, path: string): ReadonlyArray<string> => {
  if (Array.isArray(value)) return value.flatMap((item, index) => leaves(item, `${path}.${index}`))
  if (isRecord(value)) return Object.entries(value).flatMap(([name, item]) => leaves(item, `${path}.${name}`))
  return [path, `${path}=${JSON.stringify(value)}`]
}

/** Equal names count as well as equal values, so that one changed argument still leads to the right request. */
const likeness = (a: unknown, b: unknown): number => {
  const known = new Set(leaves(paramsOf(a), ""))
  const shared = leaves(paramsOf(b), "").filter((leaf) => known.has(leaf)).length
  return methodOf(a) === methodOf(b) ? 1000 + shared : shared
}

export const nearest = <A>(request: unknown, recorded: ReadonlyArray<A>): A | undefined =>
  recorded
    .map((candidate) => ({ candidate, likeness: likeness(request, candidate) }))
    .reduce<{ readonly candidate: A; readonly likeness: number } | undefined>(
      (best, next) => (best === undefined || next.likeness > best.likeness ? next : best),
      undefined
    )?.candidate
