/** Which era a server turned out to speak, kept by a pool for its next connection to the same server. */
import type { DiscoverResult } from "@modelcontextprotocol/client"
import * as Context from "effect/Context"

/** A modern verdict has the server's own description, which is adopted without asking again. */
export type Verdict = { readonly era: "legacy" } | { readonly era: "modern"; readonly discover: DiscoverResult }

/** A server that has learned the modern era since still answers the old handshake: what we know of it grows old. */
const legacyMillis = 60 * 60 * 1000

export class EraVerdict extends Context.Service<
  EraVerdict,
  {
    readonly get: () => Verdict | undefined
    readonly set: (verdict: Verdict) => void
    readonly forget: () => void
  }
>()("@scoped-mcp/core/internal/EraVerdict") {}

export const make = (now: () => number): EraVerdict["Service"] => {
  let known: { readonly verdict: Verdict; readonly at: number } | undefined
  return {
    get: () => {
      if (known?.verdict.era === "legacy" && now() - known.at >= legacyMillis) known = undefined
      return known?.verdict
    },
    set: (verdict) => {
      known = { verdict, at: now() }
    },
    forget: () => {
      known = undefined
    }
  }
}
