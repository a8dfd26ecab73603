import { assert, describe, it } from "@effect/vitest"
import { type Limits, ServerConfig, ServerSource } from "@scoped-mcp/core"
import { Effect } from "effect"

describe("ServerSource", () => {
  it("is the same server when identity and limits are equal, whatever its functions", () => {
    const source = (identity: string, limits: Limits.ServerLimits = {}) =>
      ServerSource.fromTransport(identity, Effect.die("not opened here"), limits)
    assert.isTrue(ServerSource.isSame(source("a"), source("a")))
    assert.isFalse(ServerSource.isSame(source("a"), source("b")))
    assert.isFalse(ServerSource.isSame(source("a"), source("a", { maxConcurrency: 2 })))
    assert.isFalse(ServerSource.isSame(source("a"), ServerConfig.stdio({ command: "a" })))
    assert.isTrue(ServerSource.isSame(ServerConfig.stdio({ command: "a" }), ServerConfig.stdio({ command: "a" })))
  })
})
