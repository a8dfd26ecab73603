/**
 * Skills that servers of a pool serve (the Skills extension of the protocol, SEP-2640): instructions for a model, with the
 * files that belong to them. Nothing is fetched before it is asked for, and no file is handed out that is not, byte for
 * byte, what the server has listed.
 *
 * Whether a skill may be used at all, and what its text may make a model do, is the host's to decide.
 *
 * @example
 * ```ts
 * import { Skills } from "@scoped-mcp/core"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const { skills } = yield* Skills.list({ server: "library" })
 *   for (const skill of skills) {
 *     const { body } = yield* Skills.load({ server: "library", skill })
 *     yield* Effect.log(skill.frontmatter.name, body)
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Digest from "effect/crypto/Digest"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { CallOptions } from "./CallEngine.ts"
import { isRecord } from "./internal/frames.ts"
import * as Document from "./internal/skillDocument.ts"
import * as Entry from "./internal/skillEntry.ts"
import * as Uri from "./internal/skillUri.ts"
import { listing } from "./Limits.ts"
import { InvalidResult, McpError, ProtocolError, SkillRejected } from "./McpError.ts"
import { type ForServer, type LeasedConnection, McpPool } from "./McpPool.ts"

/**
 * What a server says of a skill: the address of its `SKILL.md`, the frontmatter of that file, and its files with size and
 * digest. A skill that is made on demand says `dynamic` for them; its files cannot be verified.
 *
 * @since 0.1.0
 */
export const Skill = Entry.Skill

/** @since 0.1.0 */
export type Skill = Entry.Skill

/**
 * The skills that a server lists, and the entries that break the rules of the extension, by their place in the list.
 *
 * @since 0.1.0
 */
export interface SkillListing {
  readonly skills: ReadonlyArray<Skill>
  readonly refused: ReadonlyArray<{
    readonly index: number
    readonly uri: string | undefined
    readonly problem: string
  }>
}

/**
 * A file of a skill. `verified` is false for those of a dynamic skill only.
 *
 * @since 0.1.0
 */
export interface SkillFile {
  readonly uri: string
  readonly mimeType: string | undefined
  /** Exactly what the digest was made of. */
  readonly bytes: Uint8Array
  /** Where the server sent it as text. */
  readonly text: string | undefined
  readonly verified: boolean
}

/**
 * The `SKILL.md` of a skill; its frontmatter equals that of the entry.
 *
 * @since 0.1.0
 */
export interface LoadedSkill extends SkillFile {
  readonly text: string
  readonly frontmatter: Readonly<Record<string, unknown>>
  /** The instructions, without the frontmatter. */
  readonly body: string
}

/** @since 0.1.0 */
export interface ForSkill extends ForServer, CallOptions {
  /** An entry from {@link list} or {@link get}. */
  readonly skill: Skill
}

const extension = "io.modelcontextprotocol/skills"

const unusable = (server: string, request: string, detail: string) =>
  new McpError({ reason: new InvalidResult({ server, request, detail }) })

const rejected = (server: string, uri: string, check: SkillRejected["check"], detail: string) =>
  new McpError({ reason: new SkillRejected({ server, uri, check, detail }) })

const isOffered = ({ info }: LeasedConnection): boolean => isRecord(info.capabilities.extensions?.[extension])

const decode = Schema.decodeUnknownResult(Skill, { errors: "all" })

/** What a server wrote, kept short enough to be told. */
const brief = (text: string): string => (text.length > 500 ? `${text.slice(0, 500)}…` : text)

const addressOf = (entry: unknown): string | undefined =>
  isRecord(entry) && typeof entry["uri"] === "string" ? entry["uri"] : undefined

/** One spelling for all of the same address. */
const spelled = (uri: string): string => (URL.canParse(uri) ? new URL(uri).href : uri)

const partition = (entries: ReadonlyArray<unknown>): SkillListing => {
  const counts = new Map<string, number>()
  for (const entry of entries) {
    const uri = addressOf(entry)
    if (uri !== undefined) counts.set(spelled(uri), (counts.get(spelled(uri)) ?? 0) + 1)
  }
  const skills: Array<Skill> = []
  const refused: Array<SkillListing["refused"][number]> = []
  for (const [index, entry] of entries.entries()) {
    const uri = addressOf(entry)
    const skill = decode(entry)
    if (uri !== undefined && (counts.get(spelled(uri)) ?? 0) > 1) {
      refused.push({ index, uri, problem: "its address is listed more than once" })
    } else if (Result.isSuccess(skill)) skills.push(skill.success)
    else refused.push({ index, uri, problem: brief(skill.failure.message) })
  }
  return { skills, refused }
}

/**
 * Lists the skills of a server, over all pages; none where it does not have the extension. An address that is listed more
 * than once is refused each time.
 *
 * @since 0.1.0
 */
export const list = Effect.fnUntraced(function* (
  options: ForServer & CallOptions
): Effect.fn.Return<SkillListing, McpError, McpPool> {
  const { server, ...limits } = options
  const method = "skills/list"
  const pool = yield* McpPool
  const pages = Effect.fnUntraced(function* (connection: LeasedConnection) {
    const entries: Array<unknown> = []
    if (!isOffered(connection)) return entries
    let cursor: unknown
    for (let page = 0; page < listing.maxPages; page++) {
      const params = cursor === undefined ? {} : { cursor }
      const { nextCursor, skills } = yield* connection.request({ method, params, ...limits })
      if (!Array.isArray(skills)) return yield* unusable(server, method, "it has no skills")
      for (const skill of skills) entries.push(skill)
      if (entries.length > listing.maxItems) {
        return yield* unusable(server, method, `it lists more than ${listing.maxItems} items`)
      }
      if (typeof nextCursor !== "string") return entries
      cursor = nextCursor
    }
    return yield* unusable(server, method, `it has more than ${listing.maxPages} pages`)
  })
  return partition(yield* pool.use(server, pages))
})

/**
 * The entry of one skill by the address of its `SKILL.md`, listed or not.
 *
 * @since 0.1.0
 */
export const get = Effect.fnUntraced(function* (
  options: ForServer & CallOptions & { readonly uri: string }
): Effect.fn.Return<Skill, McpError, McpPool> {
  const { server, uri, ...limits } = options
  const request = `skills/get "${uri}"`
  const pool = yield* McpPool
  const result = yield* pool.use(server, (connection) =>
    isOffered(connection)
      ? connection.request({ method: "skills/get", params: { uri }, ...limits })
      : new McpError({
          reason: new ProtocolError({
            server,
            request,
            detail: `it does not have the extension ${extension}.`,
            delivery: "NotSent"
          })
        })
  )
  const skill = decode(result["skill"])
  if (Result.isFailure(skill)) return yield* unusable(server, request, brief(skill.failure.message))
  return spelled(skill.success.uri) === spelled(uri)
    ? skill.success
    : yield* unusable(server, request, `it is the entry of "${brief(skill.success.uri)}"`)
})

/** The file that a reference means: as the entry spells it, with what the entry says of it. */
const find = (
  server: string,
  skill: Skill,
  reference: string
): Effect.Effect<
  { readonly root: string; readonly key: string; readonly uri: string; readonly listed: Entry.Resource | undefined },
  McpError
> => {
  const checked = decode(skill)
  if (Result.isFailure(checked)) return rejected(server, skill.uri, "Entry", brief(checked.failure.message))
  const root = Uri.rootOf(skill.uri) ?? ""
  const uri = Uri.resolve(root, reference)
  const key = uri === undefined ? undefined : Uri.keyOf(root, uri)
  if (uri === undefined || key === undefined) {
    return rejected(server, skill.uri, "Unlisted", `"${brief(reference)}" is not below its folder`)
  }
  if (skill.resources === "dynamic") return Effect.succeed({ root, key, uri, listed: undefined })
  const listed = skill.resources.find((resource) => Uri.keyOf(root, resource.uri) === key)
  return listed === undefined
    ? rejected(server, skill.uri, "Unlisted", `it has no file "${brief(reference)}"`)
    : Effect.succeed({ root, key, uri: listed.uri, listed })
}

/** The bytes of a content, and its text where it came as text. */
const decodeContent = (content: Readonly<Record<string, unknown>>) => {
  const { blob, text } = content
  if (typeof text === "string") return { bytes: new TextEncoder().encode(text), text }
  const bytes = typeof blob === "string" ? Option.getOrUndefined(Result.getSuccess(Base64.decode(blob))) : undefined
  return bytes === undefined ? undefined : { bytes, text: undefined }
}

const digestOf = (bytes: Uint8Array) =>
  Effect.flatMap(Digest.Digest, (digest) => digest.digestHex(Digest.sha256, bytes)).pipe(
    Effect.map((hex) => `sha256:${hex}`),
    Effect.provide(Digest.layerWebCrypto)
  )

interface Fetched {
  readonly file: SkillFile
  readonly isManifest: boolean
}

const fetch = Effect.fnUntraced(function* (
  options: ForSkill,
  reference: string
): Effect.fn.Return<Fetched, McpError, McpPool> {
  const { server, skill, ...limits } = options
  const { key, listed, root, uri } = yield* find(server, skill, reference)
  const request = `resources/read "${uri}"`
  const pool = yield* McpPool
  const result = yield* pool.readResource({ server, uri, ...limits })
  const contents: ReadonlyArray<unknown> = result.contents
  const content = contents.find(
    (content) => isRecord(content) && typeof content["uri"] === "string" && Uri.keyOf(root, content["uri"]) === key
  )
  if (!isRecord(content)) return yield* unusable(server, request, "its contents are those of another file")
  const decoded = decodeContent(content)
  if (decoded === undefined) return yield* unusable(server, request, "it has neither text nor a blob in base64")
  const { bytes, text } = decoded
  if (listed !== undefined) {
    if (bytes.length !== listed.size) {
      const detail = `${listed.uri} has ${bytes.length} bytes instead of ${listed.size}`
      return yield* rejected(server, skill.uri, "Size", detail)
    }
    if ((yield* digestOf(bytes)) !== listed.digest) {
      return yield* rejected(server, skill.uri, "Digest", `the content of ${listed.uri} is not the one it lists`)
    }
  }
  const { mimeType } = content
  const file = {
    uri,
    mimeType: typeof mimeType === "string" ? mimeType : undefined,
    bytes,
    text,
    verified: listed !== undefined
  }
  return { file, isManifest: key === Uri.manifest }
})

/** Reads a `SKILL.md` and holds its frontmatter against that of the entry. */
const open = (server: string, skill: Skill, file: SkillFile): Effect.Effect<LoadedSkill, McpError> => {
  const broken = (detail: string) => rejected(server, skill.uri, "Frontmatter", detail)
  return Effect.try({
    try: () => {
      const text = file.text ?? new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(file.bytes)
      const { body, frontmatter } = Document.parse(text)
      return { body, frontmatter, text, different: Document.differences(skill.frontmatter, frontmatter) }
    },
    catch: (error) => broken(`it cannot be read: ${brief(error instanceof Error ? error.message : String(error))}`)
  }).pipe(
    Effect.filterOrFail(
      ({ different }) => different.length === 0,
      ({ different }) => broken(`it differs from the one listed in ${different.slice(0, 10).map(brief).join(", ")}`)
    ),
    Effect.map(({ body, frontmatter, text }) => ({ ...file, text, frontmatter, body }))
  )
}

/**
 * Fetches the `SKILL.md` of a skill. Fails with `SkillRejected` when it has not the size and digest that the entry lists,
 * or when its frontmatter differs in any field.
 *
 * @since 0.1.0
 */
export const load = (options: ForSkill): Effect.Effect<LoadedSkill, McpError, McpPool> =>
  Effect.flatMap(fetch(options, Uri.manifest), ({ file }) => open(options.server, options.skill, file))

/**
 * Fetches one file of a skill. `file` is a reference as its text has them: a path from the skill's folder, or an address.
 * Fails with `SkillRejected`, without asking the server, when the entry does not list it; and when it has another size or
 * digest.
 *
 * @since 0.1.0
 */
export const read = (options: ForSkill & { readonly file: string }): Effect.Effect<SkillFile, McpError, McpPool> => {
  const { file: reference, ...skill } = options
  return Effect.flatMap(fetch(skill, reference), ({ file, isManifest }) =>
    isManifest ? Effect.as(open(options.server, options.skill, file), file) : Effect.succeed(file)
  )
}
