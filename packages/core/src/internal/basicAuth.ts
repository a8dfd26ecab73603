/** Credentials that stand in an address: `https://user:password@example.com`. */
import * as Base64 from "effect/encoding/Base64"

/** What is no percent-encoding stands for itself. */
export const decodePart = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The value of the `Authorization` header that user info stands for, if there is any. */
export const basic = (url: URL): string | undefined => {
  if (url.username === "" && url.password === "") return undefined
  return `Basic ${Base64.encode(`${decodePart(url.username)}:${decodePart(url.password)}`)}`
}
