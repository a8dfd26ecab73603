/** What a server says of a skill, and the rules of the Skills extension (SEP-2640) for it. */
import * as Schema from "effect/Schema"
import { isRecord } from "./frames.ts"
import * as Uri from "./skillUri.ts"

const namePattern = /^(?=.{1,64}$)[a-z0-9]+(-[a-z0-9]+)*$/

/** The limits of a text count characters, not units of UTF-16; what is far too long is not counted to its end. */
const hasLength = (text: unknown, most: number): boolean =>
  typeof text === "string" &&
  text !== "" &&
  text.length <= 2 * most &&
  text.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g, "-").length <= most

const problem = (path: ReadonlyArray<PropertyKey>, issue: string) => ({ path, issue })

const frontmatterProblems = (root: string, frontmatter: Readonly<Record<string, unknown>>) => {
  const { compatibility, description, metadata, name } = frontmatter
  const at = (field: string, issue: string) => problem(["frontmatter", field], issue)
  return [
    ...(namePattern.test(String(name))
      ? []
      : [at("name", "must be 1 to 64 lowercase letters, digits, single hyphens")]),
    ...(name === Uri.nameOf(root) ? [] : [at("name", "must be the name of the folder that its address ends in")]),
    ...(hasLength(description, 1024) ? [] : [at("description", "must have 1 to 1,024 characters")]),
    ...(compatibility === undefined || hasLength(compatibility, 500)
      ? []
      : [at("compatibility", "must be a text of 1 to 500 characters")]),
    ...(metadata === undefined || (isRecord(metadata) && Object.values(metadata).every((it) => typeof it === "string"))
      ? []
      : [at("metadata", "must be texts by name")]),
    // Copied into an object, it would change what every reader of the object sees.
    ...(Object.hasOwn(frontmatter, "__proto__") || Object.getPrototypeOf(frontmatter) !== Object.prototype
      ? [at("__proto__", "is not allowed")]
      : [])
  ]
}

const resourceProblems = (root: string, resources: ReadonlyArray<{ readonly uri: string }>) => {
  const seen = new Set<string>()
  const problems = resources.flatMap(({ uri }, index) => {
    const key = Uri.keyOf(root, uri)
    const at = (issue: string) => [problem(["resources", index, "uri"], issue)]
    if (key === undefined) return at("must be the address of a file below the skill's folder")
    if (seen.has(key)) return at("is listed more than once")
    seen.add(key)
    return []
  })
  return seen.has(Uri.manifest) ? problems : [...problems, problem(["resources"], "must list the SKILL.md itself")]
}

export const Resource = Schema.Struct({
  uri: Schema.String,
  digest: Schema.String.check(Schema.isPattern(/^sha256:[0-9a-f]{64}$/, { expected: "sha256: and 64 hex digits" })),
  size: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
})

export const Skill = Schema.Struct({
  uri: Schema.String,
  frontmatter: Schema.StructWithRest(Schema.Struct({ name: Schema.String, description: Schema.String }), [
    Schema.Record(Schema.String, Schema.Unknown)
  ]),
  resources: Schema.Union([Schema.Array(Resource), Schema.Literal("dynamic")])
}).check(
  Schema.makeFilter(({ frontmatter, resources, uri }) => {
    const root = Uri.rootOf(uri)
    if (root === undefined) return problem(["uri"], "must be the address of a SKILL.md in a folder")
    return [
      ...frontmatterProblems(root, frontmatter),
      ...(resources === "dynamic" ? [] : resourceProblems(root, resources))
    ]
  })
)

export type Resource = typeof Resource.Type

export type Skill = typeof Skill.Type
