/**
 * Checks structured content against the output schema of its tool. Both come from the server, so the work is bounded:
 * every visit of a schema costs by its size, and whoever has used up the budget is not checked further. Patterns, formats and uniqueness, whose
 * cost no budget can see, are left out. Nothing is fetched: a reference to elsewhere makes a schema that cannot be used.
 */
import { CfWorkerJsonSchemaValidator } from "@modelcontextprotocol/client/validators/cf-worker"
import { isRecord } from "./frames.ts"

/** `unusable`: neither right nor wrong, for the schema, or the work that it makes, is beyond us. */
export type Checked = { readonly wrong: string } | "right" | "unusable"

export type Check = (value: unknown) => Checked

/** A visit costs about a microsecond, so the most that one result can take is a fraction of a second. */
const budget = 100_000

/** Longest text of a schema that is used. */
const maxSchemaLength = 256 * 1024

const withoutCost = new Set(["pattern", "format", "uniqueItems", "patternProperties"])
/** What they say depends on which properties the patterns have taken. */
const besidePatterns = new Set(["additionalProperties", "unevaluatedProperties"])
/** Values in them are data, however much they look like schemas. */
const data = new Set(["const", "enum", "default", "examples"])

class OverBudget extends Error {}

/** Things to look at in one visit, apart from the schemas inside. */
const weigh = (value: unknown): number =>
  typeof value === "object" && value !== null
    ? Object.values(value).reduce((sum: number, inner) => sum + weigh(inner), 1)
    : 1

const ownWeight = (schema: Readonly<Record<string, unknown>>): number =>
  1 +
  Object.entries(schema).reduce((sum, [key, value]) => {
    if (data.has(key) || key === "required" || key === "dependentRequired") return sum + weigh(value)
    return isRecord(value) ? sum + Object.keys(value).length : sum
  }, 0) /
    16

/** A copy that charges for each visit: the validator reads `$ref` first whenever it comes by. */
const charged = (schema: unknown, hasPatterns: boolean, charge: (weight: number) => void): unknown => {
  if (Array.isArray(schema)) return schema.map((each) => charged(each, hasPatterns, charge))
  if (!isRecord(schema)) return schema
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [key, value] of Object.entries(schema)) {
    if (key === "$ref" || withoutCost.has(key) || (hasPatterns && besidePatterns.has(key))) continue
    copy[key] = data.has(key)
      ? value
      : isMap(key)
        ? chargedMap(value, hasPatterns, charge)
        : charged(value, hasPatterns, charge)
  }
  const weight = ownWeight(schema)
  const reference = schema["$ref"]
  return Object.defineProperty(copy, "$ref", {
    enumerable: false,
    get: () => {
      charge(weight)
      return reference
    }
  })
}

const isMap = (key: string): boolean =>
  key === "properties" || key === "$defs" || key === "definitions" || key === "dependentSchemas"

const chargedMap = (map: unknown, hasPatterns: boolean, charge: (weight: number) => void): unknown =>
  isRecord(map)
    ? Object.fromEntries(Object.entries(map).map(([name, schema]) => [name, charged(schema, hasPatterns, charge)]))
    : map

const validators = new CfWorkerJsonSchemaValidator()

/** `text` is the schema as JSON. */
export const compile = (text: string): Check => {
  if (text.length > maxSchemaLength) return () => "unusable"
  let spent = 0
  const charge = (weight: number) => {
    spent += weight
    if (spent > budget) throw new OverBudget()
  }
  try {
    const copy = charged(JSON.parse(text), text.includes('"patternProperties"'), charge)
    const validate = validators.getValidator(copy as Parameters<typeof validators.getValidator>[0])
    return (value) => {
      spent = 0
      try {
        const { errorMessage, valid } = validate(value)
        return valid ? "right" : { wrong: (errorMessage ?? "it does not match").slice(0, 500) }
      } catch {
        return "unusable"
      }
    }
  } catch {
    return () => "unusable"
  }
}
