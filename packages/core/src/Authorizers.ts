/**
 * The credentials of a program: one for each server and way to be authorised, shared by all connections that use it. A
 * pool makes its own, which end with it; provide a layer to see and forget them, or to share them between pools, whose
 * namespaces stay apart.
 *
 * @example
 * ```ts
 * import { Authorization, Authorizers, ServerConfig } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * const mail = ServerConfig.http({ url: "https://mail.example.com/mcp", auth: Authorization.code() })
 *
 * export const logout = Effect.gen(function*() {
 *   const authorizers = yield* Authorizers.Authorizers
 *   const { revoked } = yield* authorizers.forget(mail)
 *   yield* Effect.log(revoked ? "The server was told." : "Forgotten here.")
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { OAuth } from "./Authorization.ts"
import { HttpDispatcher } from "./HttpDispatcher.ts"
import * as Authorizer from "./internal/Authorizer.ts"
import * as CredentialKey from "./internal/credentialKey.ts"
import type { HttpAuth } from "./internal/HttpAuth.ts"
import type * as ServerConfig from "./ServerConfig.ts"
import * as TokenStore from "./TokenStore.ts"

/**
 * What is known of a credential in use. Nothing of it is secret.
 *
 * @since 0.1.0
 */
export interface CredentialStatus {
  /** Its name in the `TokenStore`. */
  readonly key: string
  readonly namespace: string
  /** Where the server is. */
  readonly host: string
  readonly kind: OAuth["_tag"]
  /** `Asking`: tokens are being asked for, of a person perhaps. */
  readonly state: "None" | "Held" | "Asking"
  readonly scope: string | undefined
  readonly expiresAt: number | undefined
}

/** @since 0.1.0 */
export interface Forgotten {
  /** There were tokens, or a registration. */
  readonly found: boolean
  /** The authorisation server confirmed that the tokens are not good any more. */
  readonly revoked: boolean
}

/**
 * A server that is reached by an address, whatever else its configuration says.
 *
 * @since 0.1.0
 */
export type Reached = Pick<ServerConfig.Http, "url" | "auth" | "limits">

/** @since 0.1.0 */
export interface AuthorizersService {
  /** The credential of a server, for as long as the scope is open. */
  readonly get: (
    server: string,
    config: Reached & { readonly auth: OAuth },
    namespace?: string
  ) => Effect.Effect<Authorized, never, Scope.Scope>
  /** Every credential in use, or lately. */
  readonly credentials: Effect.Effect<ReadonlyArray<CredentialStatus>>
  /**
   * Removes what was obtained for a server, here and from the store, and tells the authorisation server. The next call
   * asks again.
   */
  readonly forget: (config: Pick<Reached, "url" | "auth">, namespace?: string) => Effect.Effect<Forgotten>
}

/**
 * What a connection needs of its credential.
 *
 * @since 0.1.0
 */
export interface Authorized extends HttpAuth {
  /** What was obtained, to be scrubbed from whatever leaves the connection. It changes. */
  readonly secrets: () => ReadonlyArray<string>
}

/** @since 0.1.0 */
export class Authorizers extends Context.Service<Authorizers, AuthorizersService>()("@scoped-mcp/core/Authorizers") {}

/** Longer than a person may take by default: what they allow is of use although nobody waits for it any more. */
const idleTimeToLive = Duration.minutes(10)

/** The rest is for the handshake that comes after. */
const shareOfConnect = 0.8

interface Key {
  readonly namespace: string
  readonly url: Redacted.Redacted<string>
  readonly auth: OAuth
}

/**
 * Its credentials live in the current scope. Without a `TokenStore` in context, what was obtained does as well.
 *
 * @since 0.1.0
 */
export const make: Effect.Effect<AuthorizersService, never, HttpDispatcher | Scope.Scope> = Effect.gen(function* () {
  const { fetch } = yield* HttpDispatcher
  const provided = yield* Effect.serviceOption(TokenStore.TokenStore)
  const store = Option.isSome(provided) ? provided.value : yield* TokenStore.makeMemory
  const known = new Map<string, { readonly of: Key; readonly authorizer: Authorizer.Authorizer }>()
  const live = yield* RcMap.make({
    idleTimeToLive,
    lookup: Effect.fnUntraced(function* (of: Key) {
      const url = new URL(Redacted.value(of.url))
      const key = yield* CredentialKey.make(of.namespace, url, of.auth)
      const authorizer = yield* Authorizer.make({ key, url, auth: of.auth, fetch, store })
      const entry = { of, authorizer }
      known.set(key, entry)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (known.get(key) === entry) known.delete(key)
        })
      )
      return authorizer
    })
  })
  const find = (url: Key["url"], auth: OAuth, namespace = "default") => RcMap.get(live, { namespace, url, auth })

  return {
    get: (server, config, namespace) =>
      Effect.map(find(config.url, config.auth, namespace), ({ face, secrets }) => ({
        ...face(server, Duration.times(config.limits.connectTimeout, shareOfConnect)),
        secrets
      })),
    credentials: Effect.sync(() =>
      [...known].map(([key, { authorizer, of }]) => ({
        key,
        namespace: of.namespace,
        host: new URL(Redacted.value(of.url)).host,
        kind: of.auth._tag,
        ...authorizer.state()
      }))
    ),
    forget: (config, namespace) =>
      config.auth === undefined || config.auth._tag === "Bearer"
        ? Effect.succeed({ found: false, revoked: false })
        : Effect.scoped(Effect.flatMap(find(config.url, config.auth, namespace), (authorizer) => authorizer.forget))
  }
})

/** @since 0.1.0 */
export const layer: Layer.Layer<Authorizers, never, HttpDispatcher> = Layer.effect(Authorizers, make)
