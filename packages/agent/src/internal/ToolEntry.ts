import type { Annotations, Subject } from "../ToolPolicy.ts"
/** One tool of a snapshot: as its server has it, and as a model sees it. */
import type { ServerCatalog } from "./snapshot.ts"
import * as toolSchema from "./toolSchema.ts"

export interface ToolEntry extends Subject {
  readonly name: string
  readonly title: string | undefined
  readonly description: string
  readonly inputSchema: Readonly<Record<string, unknown>>
  /** The argument that carries the idempotency key; the model does not see it. */
  readonly keyArgument: string | undefined
}

/** What the strictest of the model APIs takes. */
const maxDescription = 1024

const annotationsOf = (tool: ServerCatalog["tools"][number]): Annotations => ({
  readOnly: tool.annotations?.readOnlyHint ?? false,
  destructive: tool.annotations?.destructiveHint ?? true,
  idempotent: tool.annotations?.idempotentHint ?? false,
  openWorld: tool.annotations?.openWorldHint ?? true
})

export const subjectOf = (server: string, tool: ServerCatalog["tools"][number]): Subject => ({
  server,
  tool: tool.name,
  annotations: annotationsOf(tool)
})

export const make = (
  name: string,
  subject: Subject,
  tool: ServerCatalog["tools"][number]
): ToolEntry | { readonly problem: string } => {
  const checked = toolSchema.check(tool.inputSchema)
  if ("problem" in checked) return checked
  const keyArgument = toolSchema.keyArgument(checked.schema)
  const description = tool.description ?? tool.title ?? ""
  return {
    ...subject,
    name,
    title: tool.title,
    description: description.length > maxDescription ? `${description.slice(0, maxDescription - 1)}…` : description,
    inputSchema: keyArgument === undefined ? checked.schema : toolSchema.without(checked.schema, keyArgument),
    keyArgument
  }
}

/** A tool that the model does not see; enough of it to refuse a call by its name. */
export const hidden = (name: string, subject: Subject): ToolEntry => ({
  ...subject,
  name,
  title: undefined,
  description: "",
  inputSchema: {},
  keyArgument: undefined
})
