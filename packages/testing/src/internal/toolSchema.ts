/** The JSON Schema of a tool, from the Effect Schema of its arguments or its output. */
import * as Schema from "effect/Schema"

/** The protocol wants `type: "object"` at the root, also where a schema leaves it out. */
export const objectSchema = (schema: Schema.Constraint): Readonly<Record<string, unknown>> => {
  const { definitions, schema: root } = Schema.toJsonSchemaDocument(schema)
  const document = { ...root, type: "object" }
  return Object.keys(definitions).length === 0 ? document : { ...document, $defs: definitions }
}
