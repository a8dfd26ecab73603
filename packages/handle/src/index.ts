/**
 * Pooled MCP servers for programs that are not written in Effect 4: the runtime of scoped-mcp behind promises, with its own
 * Effect inside.
 *
 * @since 0.1.0
 */
export {
  AcquireTimeout,
  AgentError,
  AuthorizationFailed,
  AuthRequired,
  CallTimeout,
  CircuitOpen,
  ConfigError,
  ConnectFailed,
  ConnectionLost,
  type Delivery,
  InputRequired,
  InvalidArguments,
  InvalidResult,
  LeaseEnded,
  NamespaceRefused,
  McpError,
  MessageTooLarge,
  Overloaded,
  PoolClosed,
  ProtocolError,
  ServerDisabled,
  SessionExpired,
  SkillRejected,
  Suspended,
  ToolError,
  Unhealthy,
  UnknownServer,
  UnknownTool
} from "./errors.ts"
export { type AgentServer, agentServer } from "./agentServer.ts"
export { openPool } from "./openPool.ts"
export { type NodeRoutes, nodeRoutes, type Routes, routes, type RoutesOptions } from "./routes.ts"
export type * from "./types.ts"
