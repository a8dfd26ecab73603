/**
 * The arguments of a tool that travel as HTTP headers too, so that proxies can route by them: which ones its input schema
 * declares, and their headers for one call.
 *
 * https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#custom-headers-from-tool-parameters
 */
import { isRecord } from "./frames.ts"
import { encodeValue } from "./httpHeaders.ts"

/** An argument by its path, and the name of its header. */
export interface Declaration {
  readonly path: ReadonlyArray<string>
  readonly header: string
}

export type Scanned =
  | { readonly declarations: ReadonlyArray<Declaration> }
  /** Such a tool must not be offered over HTTP. */
  | { readonly fault: string }

const keyword = "x-mcp-header"
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const types = new Set<unknown>(["string", "integer", "boolean"])

/** Keywords under which an argument has no path of its own: its header could not be told from the schema alone. */
const branching = new Set(
  (
    "items prefixItems contains additionalProperties unevaluatedProperties unevaluatedItems propertyNames " +
    "oneOf anyOf allOf not if then else"
  ).split(" ")
)
const branchingMaps = new Set(["patternProperties", "dependentSchemas", "$defs", "definitions"])

interface Step {
  readonly schema: unknown
  readonly path: ReadonlyArray<string>
  /** Reached from the root through `properties` alone. */
  readonly plain: boolean
}

const inside = ({ path, plain, schema }: Step): ReadonlyArray<Step> => {
  if (Array.isArray(schema)) return schema.map((each) => ({ schema: each, path, plain }))
  if (!isRecord(schema)) return []
  return Object.entries(schema).flatMap(([key, value]): ReadonlyArray<Step> => {
    if (key === "properties" && isRecord(value)) {
      return Object.entries(value).map(([name, each]) => ({ schema: each, path: [...path, name], plain }))
    }
    const within = [...path, `<${key}>`]
    if (branching.has(key)) return [{ schema: value, path: within, plain: false }]
    if (!branchingMaps.has(key) || !isRecord(value)) return []
    return Object.values(value).map((each) => ({ schema: each, path: within, plain: false }))
  })
}

const faultOf = ({ path, plain }: Step, schema: Readonly<Record<string, unknown>>): string | undefined => {
  const at = path.length === 0 ? "the schema itself" : `"${path.join(".")}"`
  const name = schema[keyword]
  if (!plain || path.length === 0) return `${at} declares a header, and only plain properties may`
  if (typeof name !== "string" || !token.test(name)) return `the header of ${at} has a name that no header can have`
  if (types.has(schema["type"])) return undefined
  return `the header of ${at} is of an argument that is no string, integer or boolean`
}

export const scan = (inputSchema: unknown): Scanned => {
  const declarations: Array<Declaration> = []
  const names = new Set<string>()
  const steps: Array<Step> = [{ schema: inputSchema, path: [], plain: true }]
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    const { schema } = step
    if (isRecord(schema) && keyword in schema) {
      const fault = faultOf(step, schema)
      if (fault !== undefined) return { fault }
      const header = String(schema[keyword])
      if (names.has(header.toLowerCase())) return { fault: `the header "${header}" is declared twice` }
      names.add(header.toLowerCase())
      declarations.push({ path: step.path, header })
    }
    steps.push(...inside(step))
  }
  return { declarations }
}

const textOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return value
  if (typeof value === "boolean") return String(value)
  return typeof value === "number" && Number.isSafeInteger(value) ? String(value) : undefined
}

/** Absent arguments, and those of another type than declared, have no header. */
export const headers = (
  declarations: ReadonlyArray<Declaration>,
  args: Readonly<Record<string, unknown>>
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    declarations.flatMap(({ header, path }) => {
      const value = path.reduce<unknown>(
        (at, key) => (isRecord(at) && Object.hasOwn(at, key) ? at[key] : undefined),
        args
      )
      const text = textOf(value)
      return text === undefined ? [] : [[`Mcp-Param-${header}`, encodeValue(text)]]
    })
  )
