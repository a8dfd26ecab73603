/** What a server says about authorisation when it refuses a request. */
import { extractWWWAuthenticateParams } from "@modelcontextprotocol/client"

export interface Challenge {
  readonly scope: string | undefined
  readonly error: string | undefined
  readonly resourceMetadataUrl: URL | undefined
}

/** Names one of several schemes, at the start or after a comma. */
const asksForNonce = (header: string) => /(?:^|,)\s*dpop\b/i.test(header) && /use_dpop_nonce/i.test(header)

export const wantsNonce = (header: string | undefined): boolean => header !== undefined && asksForNonce(header)

/** A refused request must not make us ask any machine that the server likes. */
const mayBeAsked = (url: URL | undefined, server: URL): boolean =>
  url !== undefined && (url.origin === server.origin || url.protocol === "https:")

export const parse = (header: string | undefined, server: URL): Challenge => {
  if (header === undefined) return { scope: undefined, error: undefined, resourceMetadataUrl: undefined }
  const found = extractWWWAuthenticateParams(
    new Response(null, { status: 401, headers: { "www-authenticate": header } })
  )
  return {
    scope: found.scope,
    error: found.error,
    resourceMetadataUrl: mayBeAsked(found.resourceMetadataUrl, server) ? found.resourceMetadataUrl : undefined
  }
}
