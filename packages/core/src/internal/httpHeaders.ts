/** The headers of requests: what the configuration declares, and how a value that is no header value is written. */
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import type * as ServerConfig from "../ServerConfig.ts"
import { basic } from "./basicAuth.ts"

export type Headers = Readonly<Record<string, string>>

/**
 * Where a server is reached, and its declared headers by name in lower case. User info in the address is credentials,
 * unless others are declared.
 */
export const of = (config: ServerConfig.Http | ServerConfig.Sse): { readonly url: URL; readonly declared: Headers } => {
  const url = new URL(Redacted.value(config.url))
  const headers: Record<string, string> = Object.fromEntries(
    Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), Redacted.value(value)])
  )
  const credentials = basic(url)
  url.username = ""
  url.password = ""
  const isPlain = credentials === undefined || headers["authorization"] !== undefined
  return { url, declared: isPlain ? headers : { ...headers, authorization: credentials } }
}

/**
 * A text as the value of a header of MCP: as it is where it can be, else in Base64.
 *
 * https://modelcontextprotocol.io/specification/2026-07-28/basic/transports#value-encoding
 */
export const encodeValue = (text: string): string =>
  /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !/^=\?base64\?.*\?=$/.test(text)
    ? text
    : `=?base64?${Base64.encode(text)}?=`
