/** Configurations that are objects are read as the files they stand for: one set of rules, one kind of error. */
import { ConfigFile, type ServerConfig } from "@scoped-mcp/core"
import * as Effect from "effect/Effect"
import type { Configuration, ServerDefinition } from "../types.ts"

export const parse = (configuration: Configuration) =>
  ConfigFile.parse("configuration.json", JSON.stringify(configuration))

export const parseServer = (
  server: string,
  definition: ServerDefinition
): Effect.Effect<ServerConfig.ServerConfig, ConfigFile.ConfigError> =>
  Effect.map(parse({ servers: { [server]: definition } }), ({ servers }) => servers[server]!)
