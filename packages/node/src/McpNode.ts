/**
 * Everything the runtime needs of Node.js as one layer, Effect's own platform services included. Provide it in place of
 * `NodeServices.layer`.
 *
 * @since 0.1.0
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import {
  type HttpDispatcher,
  type LoopbackListener,
  type ProcessOwner,
  Registry,
  type TokenStore
} from "@scoped-mcp/core"
import * as Layer from "effect/Layer"
import * as NodeHttpDispatcher from "./NodeHttpDispatcher.ts"
import * as NodeLoopbackListener from "./NodeLoopbackListener.ts"
import * as NodeProcessOwner from "./NodeProcessOwner.ts"
import * as NodeTokenStore from "./NodeTokenStore.ts"

/**
 * Process ownership, HTTP, what authorisation needs except a browser (`NodeAuthorizationBrowser`), a registry of the program's connections, and `NodeServices`. One per program: the layer value is shared wherever it is provided.
 *
 * Provide it outside the scopes that hold connections, `Effect.provide(Effect.scoped(program), McpNode.layer)`: its own end
 * kills what such a scope still holds.
 *
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  | ProcessOwner.ProcessOwner
  | HttpDispatcher.HttpDispatcher
  | LoopbackListener.LoopbackListener
  | TokenStore.TokenStore
  | Registry.Registry
  | NodeServices.NodeServices
> = Layer.mergeAll(
  NodeProcessOwner.layer,
  NodeHttpDispatcher.layer,
  NodeLoopbackListener.layer,
  NodeTokenStore.layer(),
  Registry.layer,
  NodeServices.layer
)
