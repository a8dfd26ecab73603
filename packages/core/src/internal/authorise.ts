/** The authorisation of one connection: the program's, the pool's, or its own when it is in neither. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type Authorized, Authorizers, make, type Reached } from "../Authorizers.ts"
import type { HttpDispatcher } from "../HttpDispatcher.ts"
import { AuthRequired, McpError } from "../McpError.ts"
import * as Redaction from "./redaction.ts"

/** Whose credentials they are: a pool sets its own. */
export const Namespace = Context.Reference<string>("@scoped-mcp/core/internal/authorise/Namespace", {
  defaultValue: () => "default"
})

/** A token that only its owner can renew. */
const bearer = (server: string, token: string): Authorized => ({
  secrets: () => [],
  headers: () => Effect.succeed({ headers: { authorization: `Bearer ${token}` }, generation: 1 }),
  refused: ({ challenge, status }) =>
    Effect.fail(
      new McpError({
        reason: new AuthRequired({
          server,
          status,
          challenge: challenge === undefined ? undefined : Redaction.make([token])(challenge),
          detail: "its bearer token is not, or not any more, accepted"
        })
      })
    )
})

/** Nothing for a server without `auth`, so that its requests cost nothing. */
export const authorise = Effect.fnUntraced(function* (
  server: string,
  config: Reached
): Effect.fn.Return<Authorized | undefined, never, HttpDispatcher | Scope.Scope> {
  const { auth } = config
  if (auth === undefined) return undefined
  if (auth._tag === "Bearer") return bearer(server, Redacted.value(auth.token))
  const shared = yield* Effect.serviceOption(Authorizers)
  const authorizers = Option.isSome(shared) ? shared.value : yield* make
  return yield* authorizers.get(server, { ...config, auth }, yield* Namespace)
})
