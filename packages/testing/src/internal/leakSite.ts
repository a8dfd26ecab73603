/** Where something was made. The text is put together when it is read, which is only for leaks. */

export interface Site {
  readonly stack?: string
}

/** A stack costs about a microsecond per call, and there is one for every timer and fibre. */
const depth = 12

export const capture = (): Site => {
  const site: Site = {}
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = depth
  Error.captureStackTrace(site, capture)
  Error.stackTraceLimit = limit
  return site
}

/** The calls that led there, nearest first, without Node's and ours. */
export const calls = (site: Site): ReadonlyArray<string> =>
  (site.stack ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("at ") && !/node:|\/leak(Timers|Fibers)\./.test(line))

/** The nearest call that is not in a library. */
export const ownCall = (lines: ReadonlyArray<string>): string | undefined =>
  lines.find((line) => line.includes("/") && !line.includes("node_modules"))
