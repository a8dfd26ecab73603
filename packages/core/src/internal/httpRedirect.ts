/** Redirects: followed within the origin, so that no credentials go elsewhere, and only where the request stays as it is. */
import type { HttpRequest } from "../HttpDispatcher.ts"

/** Redirects that one request may meet. */
export const mostRedirects = 5

/** Where a redirect leads that may be followed. */
export const redirected = (
  { method, url }: Pick<HttpRequest, "method" | "url">,
  status: number,
  location: string | undefined
): URL | undefined => {
  const keeps = status === 307 || status === 308 || (method === "GET" && (status === 301 || status === 302))
  if (!keeps || location === undefined || !URL.canParse(location, url)) return undefined
  const to = new URL(location, url)
  return to.origin === url.origin ? to : undefined
}
