/** What a definition answers to the requests of both eras, apart from calls of tools. */
import * as Effect from "effect/Effect"
import type { Fault } from "../Fault.ts"
import type { Definition } from "../ScriptedServer.ts"
import { type Frame, recordOf, versions } from "./frames.ts"
import type { ServerState } from "./ServerState.ts"

/** A JSON-RPC error that is sent as it is. */
export class Refusal {
  readonly code: number
  readonly message: string
  readonly data: unknown
  constructor(code: number, message: string, data?: unknown) {
    this.code = code
    this.message = message
    this.data = data
  }
}

const refuse = (code: number, message: string, data?: unknown) => Effect.fail(new Refusal(code, message, data))

const capabilities = (definition: Definition) => ({
  tools: { listChanged: true },
  ...(definition.resources.length + definition.resourceTemplates.length > 0
    ? { resources: { listChanged: true, subscribe: true } }
    : {}),
  ...(definition.prompts.length > 0 ? { prompts: { listChanged: true } } : {}),
  ...(definition.complete === undefined ? {} : { completions: {} }),
  logging: {}
})

export const honoured = (definition: Definition, filter: Frame): Frame => {
  const can = capabilities(definition)
  return {
    ...(filter["toolsListChanged"] === true ? { toolsListChanged: true } : {}),
    ...(filter["promptsListChanged"] === true && can.prompts !== undefined ? { promptsListChanged: true } : {}),
    ...(filter["resourcesListChanged"] === true && can.resources !== undefined ? { resourcesListChanged: true } : {}),
    ...(Array.isArray(filter["resourceSubscriptions"]) && can.resources !== undefined
      ? { resourceSubscriptions: filter["resourceSubscriptions"] }
      : {})
  }
}

export const serverInfo = ({ name, version }: Definition) => ({ name, version })

/** Cursors are the number of the first item of the page. */
const page = (definition: Definition, name: string, items: ReadonlyArray<unknown>, params: Frame) => {
  const start = Number(params["cursor"] ?? 0)
  if (!Number.isInteger(start) || start < 0 || start > items.length) return refuse(-32_602, "unknown cursor")
  const end = start + definition.pageSize
  return Effect.succeed({
    [name]: items.slice(start, end),
    ...(end < items.length ? { nextCursor: String(end) } : {})
  })
}

const initialize = (definition: Definition, params: Frame) => {
  if (!definition.eras.includes("2025")) {
    return refuse(-32_022, "unsupported protocol version", {
      supported: versions["2026"],
      requested: params["protocolVersion"]
    })
  }
  const known = versions["2025"].find((version) => version === params["protocolVersion"])
  return Effect.succeed({
    protocolVersion: known ?? versions["2025"][0],
    capabilities: capabilities(definition),
    serverInfo: serverInfo(definition),
    instructions: definition.instructions
  })
}

const tools = <F extends Fault>(state: ServerState<F>) => [
  ...state.definition.tools.map((tool) => tool.listing),
  ...Array.from({ length: state.extraTools }, (_, index) => ({
    name: `extra_${index + 1}`,
    description: "a tool that was not there before",
    inputSchema: { type: "object" }
  }))
]

const text = (value: unknown): string => (typeof value === "string" ? value : "")

const legacyOnly = new Set(["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"])
const modernOnly = new Set(["server/discover", "subscriptions/listen"])

/** True when the method is there in the era of the request. */
export const isKnownIn = (era: "2025" | "2026", method: string): boolean =>
  !(era === "2025" ? modernOnly : legacyOnly).has(method)

export const respond = <F extends Fault>(
  state: ServerState<F>,
  method: string,
  params: Frame
): Effect.Effect<Frame, unknown> => {
  const { definition } = state
  switch (method) {
    case "initialize":
      return initialize(definition, params)
    case "server/discover":
      return Effect.succeed({
        supportedVersions: versions["2026"],
        capabilities: capabilities(definition),
        instructions: definition.instructions
      })
    case "ping":
    case "logging/setLevel":
    case "resources/subscribe":
    case "resources/unsubscribe":
      return Effect.succeed({})
    case "tools/list":
      return page(definition, "tools", tools(state), params)
    case "resources/list":
      return page(
        definition,
        "resources",
        definition.resources.map(({ mimeType, name, uri }) => ({ uri, name, mimeType })),
        params
      )
    case "resources/templates/list":
      return page(definition, "resourceTemplates", definition.resourceTemplates, params)
    case "prompts/list":
      return page(
        definition,
        "prompts",
        definition.prompts.map((prompt) => ({ name: prompt.name, arguments: prompt.arguments })),
        params
      )
    case "resources/read": {
      const uri = text(params["uri"])
      const resource = definition.resources.find((known) => known.uri === uri)
      if (resource === undefined) return refuse(-32_002, `there is no resource ${uri}`, { uri })
      return Effect.map(resource.read, (contents) => ({
        contents: typeof contents === "string" ? [{ uri, mimeType: resource.mimeType, text: contents }] : contents
      }))
    }
    case "prompts/get": {
      const prompt = definition.prompts.find((known) => known.name === params["name"])
      if (prompt === undefined) return refuse(-32_602, `there is no prompt ${text(params["name"])}`)
      return Effect.map(prompt.get(recordOf(params["arguments"]) as Record<string, string>), (messages) => ({
        messages:
          typeof messages === "string" ? [{ role: "user", content: { type: "text", text: messages } }] : messages
      }))
    }
    case "completion/complete": {
      if (definition.complete === undefined) return refuse(-32_601, `${method} is not offered`)
      const ref = recordOf(params["ref"])
      const argument = recordOf(params["argument"])
      const of = text(ref["name"] ?? ref["uri"])
      return Effect.map(
        definition.complete({ of, argument: text(argument["name"]), value: text(argument["value"]) }),
        (values) => ({ completion: { values, total: values.length, hasMore: false } })
      )
    }
    default:
      return refuse(-32_601, `${method} is not offered`)
  }
}
