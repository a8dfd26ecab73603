/** What the last list of tools said of each: which headers a call needs, and what its result must look like. */
import type { Tool } from "@modelcontextprotocol/client"
import * as ParamHeaders from "./paramHeaders.ts"
import * as ResultSchema from "./resultSchema.ts"

/** A tool that was left out of the list, and why. */
interface HiddenTool {
  readonly tool: string
  readonly reason: string
}

interface Known {
  readonly declarations: ReadonlyArray<ParamHeaders.Declaration>
  /** The output schema as JSON: two schemas of the same content are one, whatever they call themselves. */
  readonly output: string | undefined
}

export interface KnownTools {
  /** Keeps what a new list says, and answers the tools that may be offered. */
  readonly learn: (tools: ReadonlyArray<Tool>) => ReadonlyArray<Tool>
  readonly hidden: () => ReadonlyArray<HiddenTool>
  /** Nothing where the tool is not known or declares none. */
  readonly headers: (
    tool: string,
    args: Readonly<Record<string, unknown>>
  ) => Readonly<Record<string, string>> | undefined
  /** What is wrong with the result of a tool that did not fail. */
  readonly wrong: (tool: string, result: Readonly<Record<string, unknown>>) => string | undefined
  /** Results that could not be checked, for the schema of their tool, or the work that it makes, is beyond us. */
  readonly unchecked: () => number
}

const maxCompiled = 256

export const make = (overHttp: boolean): KnownTools => {
  let known = new Map<string, Known>()
  let hidden: ReadonlyArray<HiddenTool> = []
  let unchecked = 0
  // In the order of their last use, so that the first is the one to give up.
  const compiled = new Map<string, ResultSchema.Check>()

  const checkOf = (output: string): ResultSchema.Check => {
    const check = compiled.get(output) ?? ResultSchema.compile(output)
    compiled.delete(output)
    compiled.set(output, check)
    const [oldest] = compiled.keys()
    if (compiled.size > maxCompiled && oldest !== undefined) compiled.delete(oldest)
    return check
  }

  return {
    learn: (tools) => {
      const next = new Map<string, Known>()
      const left: Array<HiddenTool> = []
      const kept = tools.filter((tool) => {
        const output = tool.outputSchema === undefined ? undefined : JSON.stringify(tool.outputSchema)
        const scanned = overHttp ? ParamHeaders.scan(tool.inputSchema) : { declarations: [] }
        if ("fault" in scanned) {
          left.push({ tool: tool.name, reason: scanned.fault })
          return false
        }
        const { declarations } = scanned
        if (output !== undefined || declarations.length > 0) next.set(tool.name, { declarations, output })
        return true
      })
      known = next
      hidden = left
      return kept
    },
    hidden: () => hidden,
    headers: (tool, args) => {
      const declarations = known.get(tool)?.declarations ?? []
      return declarations.length === 0 ? undefined : ParamHeaders.headers(declarations, args)
    },
    wrong: (tool, result) => {
      const output = known.get(tool)?.output
      if (output === undefined) return undefined
      const content = result["structuredContent"]
      if (content === undefined) return "it has no structured content, which its tool declares"
      const checked = checkOf(output)(content)
      if (checked === "unusable") unchecked++
      return typeof checked === "string" ? undefined : `its structured content is not as declared, ${checked.wrong}`
    },
    unchecked: () => unchecked
  }
}
