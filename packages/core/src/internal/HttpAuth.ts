/** How requests to one HTTP server are authorised beyond the headers that its configuration declares. */
import type * as Effect from "effect/Effect"
import { AuthRequired, type McpError } from "../McpError.ts"
import type { Scrub } from "./redaction.ts"

/** A server's refusal of a request. `nonce` is the one it wants in the next proof. */
export interface Refusal {
  readonly status: 401 | 403
  readonly challenge: string | undefined
  readonly generation: number
  readonly nonce: string | undefined
  /** Nobody waits for the request (the end of a session, say), so no person is asked for its sake. */
  readonly unattended?: true | undefined
}

export interface HttpAuth {
  /**
   * Headers for one request; asked anew for every attempt, as a proof may be bound to method and address. `generation`
   * tells which credentials these are.
   */
  readonly headers: (request: {
    readonly method: string
    readonly url: URL
  }) => Effect.Effect<{ readonly headers: Readonly<Record<string, string>>; readonly generation: number }, McpError>
  /**
   * The server refused a request that carried credentials of that generation. Succeeds when other credentials are at
   * hand, so that the request may be sent again if its caller still waits; fails with what to tell the caller. One
   * refresh however many calls meet it.
   */
  readonly refused: (refusal: Refusal) => Effect.Effect<void, McpError>
  /** What was obtained, to be scrubbed from whatever leaves the connection. It changes. */
  readonly secrets?: () => ReadonlyArray<string>
}

/** What the caller is told where there are no other credentials. */
export const required = (server: string, scrub: Scrub, status: number, challenge: string | undefined): AuthRequired =>
  new AuthRequired({ server, status, challenge: challenge === undefined ? undefined : scrub(challenge) })
