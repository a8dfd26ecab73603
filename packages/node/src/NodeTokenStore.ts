/**
 * Keeps credentials in files of this user, one each, so that a person allows a server once and not once per start. The
 * files are readable by nobody else, are replaced as a whole, and programs that share them refresh one after another.
 *
 * They are not encrypted: who can read the user's files can read them.
 *
 * @since 0.1.0
 */
import { randomUUID } from "node:crypto"
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import * as TokenStore from "@scoped-mcp/core/TokenStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FileLock from "./internal/FileLock.ts"

/** @since 0.1.0 */
export interface Options {
  /** Default: `scoped-mcp/credentials` where the system wants such things, `~/.local/state` on Linux. */
  readonly folder?: string | undefined
}

const defaultFolder = (): string => {
  const state =
    process.platform === "win32" ? process.env["LOCALAPPDATA"] : (process.env["XDG_STATE_HOME"] ?? undefined)
  return join(state || join(homedir(), ".local", "state"), "scoped-mcp", "credentials")
}

const File = Schema.fromJsonString(TokenStore.StoredCredential)
const decode = Schema.decodeUnknownEffect(File)
const encode = Schema.encodeEffect(File)

const isMissing = (error: unknown) => error instanceof Error && "code" in error && error.code === "ENOENT"

/** What others can read is not a secret any more. Windows has no such bits. */
const isOpenToOthers = (mode: number) => process.platform !== "win32" && (mode & 0o077) !== 0

const readPrivate = async (path: string): Promise<string | undefined> => {
  try {
    if (isOpenToOthers((await stat(path)).mode)) throw new Error("others than its owner can read it")
    return await readFile(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

const replace = async (path: string, content: string): Promise<void> => {
  const draft = `${path}.${randomUUID()}`
  try {
    const file = await open(draft, "wx", 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

const remove = async (path: string): Promise<boolean> => {
  try {
    await rm(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** @since 0.1.0 */
export const make = (options: Options = {}): TokenStore.TokenStore["Service"] => {
  const folder = options.folder ?? defaultFolder()

  const failed = (key: string) => (cause: unknown) =>
    new TokenStore.TokenStoreError({ key, detail: cause instanceof Error ? cause.message : String(cause) })

  const pathOf = (key: string) => {
    if (!/^\w[\w.-]*$/.test(key)) throw new Error("its key cannot be the name of a file")
    return join(folder, `${key}.json`)
  }
  const using = <A>(key: string, use: (path: string) => Promise<A>) =>
    Effect.tryPromise({ try: async () => use(pathOf(key)), catch: failed(key) })
  const inFolder = (key: string) =>
    Effect.tryPromise({ try: () => mkdir(folder, { recursive: true, mode: 0o700 }), catch: failed(key) })

  return TokenStore.TokenStore.of({
    get: Effect.fnUntraced(function* (key) {
      const text = yield* using(key, readPrivate)
      if (text === undefined) return Option.none()
      // The reason would quote the file.
      return Option.some(yield* Effect.mapError(decode(text), () => failed(key)("it is not what we wrote")))
    }),
    set: Effect.fnUntraced(function* (key, credential) {
      yield* inFolder(key)
      const content = yield* Effect.mapError(encode(credential), () => failed(key)("it cannot be written as JSON"))
      yield* Effect.uninterruptible(using(key, (path) => replace(path, content)))
    }),
    remove: (key) => using(key, remove),
    withLock: (key) => (effect) =>
      Effect.gen(function* () {
        yield* inFolder(key)
        const path = yield* using(key, (path) => Promise.resolve(`${path}.lock`))
        return yield* FileLock.withLock(path, failed(key))(effect)
      })
  })
}

/** @since 0.1.0 */
export const layer = (options?: Options): Layer.Layer<TokenStore.TokenStore> =>
  Layer.sync(TokenStore.TokenStore, () => make(options))
