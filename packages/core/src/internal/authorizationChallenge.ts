/** What a server says about authorisation when it refuses a request. */
import { extractWWWAuthenticateParams } from "@modelcontextprotocol/client"
import { mayBeAsked } from "./trustedAddress.ts"

export interface Challenge {
  readonly scope: string | undefined
  readonly error: string | undefined
  readonly resourceMetadataUrl: URL | undefined
}

/** Names one of several schemes, at the start or after a comma. */
const asksForNonce = (header: string) => /(?:^|,)\s*dpop\b/i.test(header) && /use_dpop_nonce/i.test(header)

export const wantsNonce = (header: string | undefined): boolean => header !== undefined && asksForNonce(header)

export const parse = (header: string | undefined, server: URL): Challenge => {
  if (header === undefined) return { scope: undefined, error: undefined, resourceMetadataUrl: undefined }
  const found = extractWWWAuthenticateParams(
    new Response(null, { status: 401, headers: { "www-authenticate": header } })
  )
  const { error, resourceMetadataUrl, scope } = found
  return {
    scope,
    error,
    resourceMetadataUrl:
      resourceMetadataUrl !== undefined && mayBeAsked(resourceMetadataUrl, server) ? resourceMetadataUrl : undefined
  }
}
