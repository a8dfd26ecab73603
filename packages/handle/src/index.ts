/**
 * Pooled MCP servers for programs that are not written in Effect 4: the runtime of scoped-mcp behind promises, with its own
 * Effect inside.
 *
 * @since 0.1.0
 */
export * from "./errors.ts"
export { openPool } from "./openPool.ts"
export type * from "./types.ts"
