/** What several commands have in common. */
import * as ConfigFile from "@scoped-mcp/core/ConfigFile"
import { McpNode } from "@scoped-mcp/node"
import * as Flag from "effect/cli/Flag"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

export const config = Flag.String("config").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription(`The configuration to use; without it, ${ConfigFile.defaultFiles.join(" or ")}`),
  Flag.optional
)

export const json = Flag.Boolean("json").pipe(Flag.withDescription("Print JSON, for programs"), Flag.withDefault(false))

/** The pool of the file, on this machine. */
export const pool = (file: Option.Option<string>) =>
  ConfigFile.layer(Option.getOrUndefined(file)).pipe(Layer.provide(McpNode.layer))
