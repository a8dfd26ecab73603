/** What there is of one credential: tokens and registration, here and in the store, and every text of it that is secret. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Authorization from "../Authorization.ts"
import type { StoredCredential, Tokens, TokenStore } from "../TokenStore.ts"
import * as Redaction from "./redaction.ts"

/** Enough for what still travels; a text that was replaced long ago opens nothing. */
const remembered = 64

export interface HeldCredential {
  readonly current: () => StoredCredential
  /** Counts the tokens that were held; 0 before the first. */
  readonly generation: () => number
  readonly isHeld: (tokens: Tokens) => boolean
  /** Other tokens, or none. */
  readonly take: (credential: StoredCredential) => void
  /** The same tokens, and something else of the credential. */
  readonly amend: (credential: StoredCredential) => void
  readonly learn: (secret: string) => void
  readonly secrets: () => ReadonlyArray<string>
  readonly scrub: Redaction.Scrub
  /** What others who share the store have put there. */
  readonly read: Effect.Effect<StoredCredential | undefined>
  /** Takes what is stored, the first time. */
  readonly load: Effect.Effect<void>
  readonly save: Effect.Effect<void>
  readonly remove: Effect.Effect<boolean>
  /** Others who share the store wait meanwhile. */
  readonly locked: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  readonly clear: () => void
}

export const make = Effect.fnUntraced(function* (
  key: string,
  host: string,
  auth: Authorization.OAuth,
  store: TokenStore["Service"]
): Effect.fn.Return<HeldCredential> {
  const learned: Array<string> = []
  let held: StoredCredential = {}
  let generation = 0

  const secrets = () => [...Authorization.secrets(auth), ...learned].filter((secret) => secret.length >= 6)
  const scrub = Redaction.make([], secrets)
  const learn = (secret: string) => {
    if (learned.includes(secret)) return
    learned.push(secret)
    if (learned.length > remembered) learned.shift()
  }
  const take = (credential: StoredCredential) => {
    const { client, tokens } = credential
    for (const secret of [tokens?.accessToken, tokens?.refreshToken, client?.clientSecret]) {
      if (secret !== undefined) learn(Redacted.value(secret))
    }
    held = credential
    generation++
  }

  // A store that does not work costs the memory of it, not the work at hand.
  const warned = (what: string) => (error: { readonly message: string }) =>
    Effect.logWarning(`Could not ${what} the credential for ${host}: ${scrub(error.message)}`)

  const read = store.get(key).pipe(
    Effect.map(Option.getOrUndefined),
    Effect.catch((error) => Effect.as(warned("read")(error), undefined))
  )

  return {
    current: () => held,
    generation: () => generation,
    isHeld: (tokens) =>
      held.tokens !== undefined && Redacted.value(tokens.accessToken) === Redacted.value(held.tokens.accessToken),
    take,
    amend: (credential) => {
      held = credential
    },
    learn,
    secrets,
    scrub,
    read,
    load: yield* Effect.cached(
      Effect.map(read, (stored) => {
        if (stored?.tokens !== undefined) take(stored)
        else if (stored !== undefined) held = stored
      })
    ),
    save: Effect.suspend(() =>
      // A token that is bound to our key is of no use to another program.
      Effect.catch(store.set(key, auth.dpop ? { ...held, tokens: undefined } : held), warned("keep"))
    ),
    remove: store.remove(key).pipe(Effect.catch((error) => Effect.as(warned("remove")(error), false))),
    locked: (effect) =>
      Effect.catchTag(store.withLock(key)(Effect.result(effect)), "TokenStoreError", (error) =>
        Effect.andThen(warned("lock")(error), Effect.result(effect))
      ).pipe(Effect.flatMap(Effect.fromResult)),
    clear: () => {
      held = {}
      learned.length = 0
    }
  }
})
