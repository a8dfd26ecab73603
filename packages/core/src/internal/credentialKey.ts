/** The name under which a credential is kept: the same in every program with the same configuration, and no secret. */
import * as Effect from "effect/Effect"
import type { OAuth } from "../Authorization.ts"

/** Its characters fit into the name of a file. */
export const make = (namespace: string, url: URL, auth: OAuth): Effect.Effect<string> => {
  const identity = [
    namespace,
    `${url.origin}${url.pathname}${url.search}`,
    auth._tag,
    auth.client?.id ?? (auth._tag === "Code" ? auth.clientMetadataUrl : undefined) ?? "",
    auth.issuer ?? "",
    auth.account ?? ""
  ]
  const bytes = new TextEncoder().encode(JSON.stringify(identity))
  return Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", bytes)),
    (digest) => {
      const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
      return `${url.hostname.replaceAll(/[^a-z0-9.-]/gi, "_")}-${hex.slice(0, 32)}`
    }
  )
}
