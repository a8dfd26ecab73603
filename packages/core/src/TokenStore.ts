/**
 * Keeps what was obtained for a credential (tokens, and the client that was registered for them) between connections,
 * and between programs where it is a file. `@scoped-mcp/node` has the file; without one of these layers, what was
 * obtained ends with the pool.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"

const Secret = Schema.RedactedFromValue(Schema.String)

/** @since 0.1.0 */
export const Tokens = Schema.Struct({
  accessToken: Secret,
  refreshToken: Schema.optional(Secret),
  tokenType: Schema.String,
  /** What was allowed, as far as the authorisation server said. */
  scope: Schema.optional(Schema.String),
  /** The authorisation server that gave them; they are never shown to another. */
  issuer: Schema.String,
  /** Milliseconds since 1970, for both. */
  obtainedAt: Schema.Finite,
  expiresAt: Schema.optional(Schema.Finite)
})

/** @since 0.1.0 */
export type Tokens = typeof Tokens.Type

/**
 * The client as the authorisation server knows it.
 *
 * @since 0.1.0
 */
export const RegisteredClient = Schema.Struct({
  clientId: Schema.String,
  clientSecret: Schema.optional(Secret),
  /** How it proves itself at the token endpoint, when the authorisation server said. */
  authentication: Schema.optional(Schema.String),
  issuer: Schema.String,
  /** Where a browser may be sent back to; absent for a client that was not registered by us. */
  redirectUrl: Schema.optional(Schema.String)
})

/** @since 0.1.0 */
export type RegisteredClient = typeof RegisteredClient.Type

/** @since 0.1.0 */
export const StoredCredential = Schema.Struct({
  tokens: Schema.optional(Tokens),
  client: Schema.optional(RegisteredClient),
  /** Everything that was asked for so far, so that asking for more does not lose it. */
  askedScope: Schema.optional(Schema.String)
})

/** @since 0.1.0 */
export type StoredCredential = typeof StoredCredential.Type

/** @since 0.1.0 */
export class TokenStoreError extends Schema.TaggedError<TokenStoreError>("@scoped-mcp/core/TokenStoreError")(
  "TokenStoreError",
  { key: Schema.String, detail: Schema.String }
) {
  override get message() {
    return `What is stored for ${this.key} could not be used: ${this.detail}`
  }
}

/** @since 0.1.0 */
export class TokenStore extends Context.Service<
  TokenStore,
  {
    readonly get: (key: string) => Effect.Effect<Option.Option<StoredCredential>, TokenStoreError>
    readonly set: (key: string, credential: StoredCredential) => Effect.Effect<void, TokenStoreError>
    /** Tells whether there was anything. */
    readonly remove: (key: string) => Effect.Effect<boolean, TokenStoreError>
    /** Runs the effect while nobody else who shares the store does so for that key: a token is refreshed by one. */
    readonly withLock: (
      key: string
    ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | TokenStoreError, R>
  }
>()("@scoped-mcp/core/TokenStore") {}

/**
 * A store that ends with its owner.
 *
 * @since 0.1.0
 */
export const makeMemory = Effect.sync(() => {
  const stored = new Map<string, StoredCredential>()
  const locks = new Map<string, Semaphore.Semaphore>()
  return TokenStore.of({
    get: (key) => Effect.sync(() => Option.fromUndefinedOr(stored.get(key))),
    set: (key, credential) => Effect.sync(() => void stored.set(key, credential)),
    remove: (key) => Effect.sync(() => stored.delete(key)),
    withLock: (key) => (effect) =>
      Effect.suspend(() => {
        const lock = locks.get(key) ?? Semaphore.makeUnsafe(1)
        locks.set(key, lock)
        return lock.withPermits(1)(effect)
      })
  })
})

/**
 * Keeps credentials for as long as the layer lives; pools that share the layer keep theirs apart by namespace.
 *
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<TokenStore> = Layer.effect(TokenStore, makeMemory)
