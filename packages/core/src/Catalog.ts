/**
 * One immutable view of what all servers of a pool offer.
 *
 * @since 0.1.0
 */
import type { Prompt, Resource, ResourceTemplateType, Tool } from "@modelcontextprotocol/client"
import type { McpError } from "./McpError.ts"

/**
 * What one server offers. `stale` marks a list from a connection that has ended since.
 *
 * @since 0.1.0
 */
export interface ServerCatalog {
  readonly server: string
  readonly tools: ReadonlyArray<Tool>
  readonly resources: ReadonlyArray<Resource>
  readonly resourceTemplates: ReadonlyArray<ResourceTemplateType>
  readonly prompts: ReadonlyArray<Prompt>
  readonly stale: boolean
}

/**
 * A snapshot never changes; a later one has a higher version. Servers that could not be asked are in `unavailable`, each
 * with its reason.
 *
 * @since 0.1.0
 */
export interface Catalog {
  readonly version: number
  readonly servers: ReadonlyArray<ServerCatalog>
  readonly unavailable: ReadonlyArray<McpError>
}
