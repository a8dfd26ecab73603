/**
 * The fetch that the SDK's authorisation is given: it ends with its effect, reads no more than a limit, and turns what
 * an authorisation server refuses into an error of ours, so that the SDK neither repeats it nor prints it.
 */
import type { FetchLike } from "@modelcontextprotocol/client"

/** A document of an authorisation server is a few thousand bytes. */
const maxBytes = 1024 * 1024

/** The authorisation server answered with an error of its own. */
export class Refused extends Error {
  readonly status: number
  readonly code: string | undefined
  constructor(status: number, code: string | undefined, description: string) {
    super(description)
    this.status = status
    this.code = code
  }
}

/** The texts that a request or answer of ours holds and nobody may see, as they become known. */
export type Learn = (secret: string) => void

const secretFields = ["access_token", "refresh_token", "id_token", "client_secret", "registration_access_token"]

const readBounded = async (response: Response): Promise<Uint8Array<ArrayBuffer>> => {
  const parts: Array<Uint8Array> = []
  let size = 0
  const reader = response.body?.getReader()
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    size += part.value.length
    if (size > maxBytes) {
      await reader?.cancel()
      throw new Error(`the answer is larger than ${maxBytes} bytes`)
    }
    parts.push(part.value)
  }
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const parse = (body: Uint8Array): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body))
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {} // not JSON; the status says enough
  }
}

const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

/** As it may be shown to people; it is cut short where it is scrubbed, since half a secret is not known for one. */
const plain = (value: string): string => value.replace(/\p{Cc}/gu, " ")

/** What is told of a refusal that says nothing: which request it was, and what a person can do about it. */
const withoutWords = ({ origin, pathname }: URL, init: RequestInit | undefined, status: number): string => {
  const told = `${origin}${pathname} answered with HTTP ${status}`
  // Of our requests only the registration of a client is JSON.
  const registers = new Headers(init?.headers).get("content-type")?.startsWith("application/json") === true
  return registers ? `${told} when we registered as a client; give the auth a clientId of its own` : told
}

export const make =
  (fetch: FetchLike, signal: AbortSignal, learn: Learn, mayBeAsked: (url: URL) => boolean): FetchLike =>
  async (url, init) => {
    const { host } = new URL(url)
    if (!mayBeAsked(new URL(url))) throw new Error(`${host}, which the server names, is not asked without https:`)
    const response = await fetch(url, {
      ...init,
      signal: init?.signal ? AbortSignal.any([signal, init.signal]) : signal
    })
    const body = await readBounded(response)
    const posted = init?.method === "POST"
    const answer = posted ? parse(body) : {}
    for (const field of secretFields) {
      const secret = text(answer[field])
      if (secret !== undefined) learn(secret)
    }
    const code = text(answer["error"])
    const refused = posted && (response.status >= 400 || (code !== undefined && answer["access_token"] === undefined))
    // The SDK answers the request for a nonce itself.
    if (refused && code !== "use_dpop_nonce") {
      const said = text(answer["error_description"])
      throw new Refused(
        response.status,
        code === undefined ? undefined : plain(code),
        said === undefined ? withoutWords(new URL(url), init, response.status) : plain(said)
      )
    }
    // As one of this runtime's own, which the SDK asks for; without a body where none is allowed.
    const none = response.status === 204 || response.status === 205 || response.status === 304
    return new Response(none ? null : body, { status: response.status, headers: response.headers })
  }
