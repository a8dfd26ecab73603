/** Where a server is, for people, without its secrets. */
import * as ServerConfig from "../ServerConfig.ts"
import type { Server } from "../ServerSource.ts"
import * as Redaction from "./redaction.ts"

export const targetOf = (source: Server): string =>
  "identity" in source ? source.identity : Redaction.make(ServerConfig.secrets(source))(ServerConfig.target(source))
