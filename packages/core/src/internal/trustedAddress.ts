/** Which addresses may be asked, or shown to a person, although a server of the other side has named them. */

const isLoopback = ({ hostname }: URL): boolean => ["127.0.0.1", "localhost", "[::1]"].includes(hostname)

/** Nobody on the way can read it or answer in its place. */
export const isPrivate = (url: URL): boolean =>
  url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url))

/**
 * A server must not make us ask whatever machine it likes: beside itself and what the configuration names, only one that
 * is reached privately, and one on this machine only when the server is here as well.
 */
export const mayBeAsked = (url: URL, server: URL, configured: ReadonlyArray<string> = []): boolean =>
  url.origin === server.origin ||
  configured.some((it) => new URL(it).origin === url.origin) ||
  (isPrivate(url) && (!isLoopback(url) || isLoopback(server)))
