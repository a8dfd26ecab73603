/** Texts of a configuration that say who somebody is: given, or kept in a file by the platform. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Assertion, OAuth } from "../Authorization.ts"
import { AuthorizationFailed } from "../McpError.ts"
import type { OAuthEnv } from "./OAuthEnv.ts"

const of = (auth: OAuth): ReadonlyArray<Assertion> => [
  ...(auth.client?.proof._tag === "Assertion" ? [auth.client.proof.assertion] : []),
  ...(auth._tag === "JwtBearer" ? [auth.assertion] : []),
  ...(auth._tag === "EnterpriseManaged" ? [auth.idp.idToken] : [])
]

const readFile = Effect.fnUntraced(function* (env: OAuthEnv, file: string) {
  const unreadable = (why: string) =>
    new AuthorizationFailed({
      server: env.server,
      step: "Token",
      detail: env.scrub(`${file} cannot be read: ${why}`),
      transient: true
    })
  const files = yield* Effect.serviceOption(FileSystem.FileSystem)
  if (Option.isNone(files)) return yield* unreadable("there is no FileSystem in the context of the pool")
  const text = yield* Effect.mapError(files.value.readFileString(file), (error) => unreadable(error.message))
  env.learn(text.trim())
  return text.trim()
})

/** Read anew for every attempt, because a platform renews them in place. */
export const read = Effect.fnUntraced(function* (
  env: OAuthEnv
): Effect.fn.Return<ReadonlyMap<object, string>, AuthorizationFailed> {
  const texts = new Map<object, string>()
  for (const assertion of of(env.auth)) {
    texts.set(assertion, "file" in assertion ? yield* readFile(env, assertion.file) : Redacted.value(assertion))
  }
  return texts
})
