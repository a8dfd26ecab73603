/**
 * How deep a message may be nested. The parser takes any depth, but whatever looks at a value by recursion afterwards
 * (the SDK, a copy, our callers) overflows the stack, and where that happens on the line it ends the host.
 */

/** Far beyond what anybody means, and far below what a stack holds. */
const most = 1_000

const quote = 0x22
const backslash = 0x5c

/** Where the text ends that begins at a quote. */
const textEnd = (json: string, from: number): number => {
  for (let end = json.indexOf('"', from + 1); end !== -1; end = json.indexOf('"', end + 1)) {
    let before = end - 1
    while (json.charCodeAt(before) === backslash) before--
    if ((end - before) % 2 === 1) return end
  }
  return json.length
}

/** Whether a JSON text is nested too deep. Looked at before it is parsed, and only where it is long enough to be. */
export const isTooDeep = (json: string): boolean => {
  if (json.length <= 2 * most) return false
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at)
    if (code === quote) at = textEnd(json, at)
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > most) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}

/** The same of a value that came as one. */
export const isNestedTooDeep = (value: unknown, left = most): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (left === 0) return true
  for (const inner of Object.values(value)) if (isNestedTooDeep(inner, left - 1)) return true
  return false
}
