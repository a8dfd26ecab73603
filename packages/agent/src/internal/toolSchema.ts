/**
 * Looks over the schema of a tool's arguments, because model APIs refuse a whole request for one bad tool: mends what has
 * one meaning, and says what cannot be mended.
 */
type Json = Readonly<Record<string, unknown>>

const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** Deeper or larger than this is an accident or an attack, and costs every request of the agent. */
const maxDepth = 32
const maxCharacters = 32_768

const single = ["items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames"]
const lists = ["anyOf", "oneOf", "allOf", "prefixItems"]
const maps = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]

class Unusable {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

const mend = (schema: Json, depth: number): Json => {
  if (depth > maxDepth) throw new Unusable(`its schema is nested more than ${maxDepth} deep`)
  const reference = schema["$ref"]
  if (typeof reference === "string" && !reference.startsWith("#")) {
    throw new Unusable(`its schema refers to another document, ${reference}`)
  }
  const inner = (value: unknown): unknown => (isRecord(value) ? mend(value, depth + 1) : value)
  const mended: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === "$schema" || key === "$id") continue
    if (single.includes(key)) mended[key] = inner(value)
    else if (lists.includes(key) && Array.isArray(value)) mended[key] = value.map(inner)
    else if (maps.includes(key) && isRecord(value)) {
      mended[key] = Object.fromEntries(Object.entries(value).map(([name, property]) => [name, inner(property)]))
    } else mended[key] = value
  }
  // A list of anything: some models refuse a list that does not say of what.
  if (schema["type"] === "array" && mended["items"] === undefined && mended["prefixItems"] === undefined) {
    mended["items"] = {}
  }
  return mended
}

/** The schema to show a model, or why there is none. */
export const check = (schema: unknown): { readonly schema: Json } | { readonly problem: string } => {
  if (schema !== undefined && !isRecord(schema)) return { problem: "its schema is no object" }
  const given = schema ?? {}
  const type = given["type"] ?? "object"
  if (type !== "object") return { problem: `its arguments are of type ${JSON.stringify(type)}, not an object` }
  if (given["properties"] !== undefined && !isRecord(given["properties"])) {
    return { problem: "the properties of its schema are no object" }
  }
  const combined = ["anyOf", "oneOf", "allOf", "not", "enum"].find((key) => given[key] !== undefined)
  if (combined !== undefined) return { problem: `its schema has ${combined} at the top, which models refuse` }
  try {
    const mended = { properties: {}, ...mend(given, 0), type: "object" }
    const { length } = JSON.stringify(mended)
    return length > maxCharacters
      ? { problem: `its schema has ${length} characters, more than ${maxCharacters}` }
      : { schema: mended }
  } catch (cause) {
    if (cause instanceof Unusable) return { problem: cause.why }
    throw cause
  }
}

const keyNames = ["idempotencyKey", "idempotency_key", "idempotency-key", "Idempotency-Key"]

/** The argument that takes an idempotency key, if the tool has one. */
export const keyArgument = (schema: Json): string | undefined => {
  const { properties } = schema
  if (!isRecord(properties)) return undefined
  return keyNames.find((name) => {
    const property = properties[name]
    return isRecord(property) && property["type"] === "string" && property["format"] === undefined
  })
}

/** A schema without one of its properties. */
export const without = (schema: Json, name: string): Json => {
  const { properties, required } = schema
  const rest = Object.fromEntries(
    Object.entries(isRecord(properties) ? properties : {}).filter(([key]) => key !== name)
  )
  return {
    ...schema,
    properties: rest,
    ...(Array.isArray(required) ? { required: required.filter((key) => key !== name) } : {})
  }
}
