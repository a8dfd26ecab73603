import { assert, describe, it } from "@effect/vitest"
import { ToolFailure } from "@scoped-mcp/agent"
import { McpError } from "@scoped-mcp/core"
import { Duration } from "effect"

const told = (reason: McpError.Reason) => ToolFailure.fromMcpError(new McpError.McpError({ reason }))

describe("ToolFailure", () => {
  it("says what to do next, for every delivery", () => {
    const request = 'tool "a"'
    const reasons: ReadonlyArray<readonly [McpError.Reason, ToolFailure.TryAgain, boolean]> = [
      [new McpError.CircuitOpen({ server: "s", retryAfter: Duration.millis(1500), lastFailure: "x" }), "later", false],
      [new McpError.ConnectionLost({ server: "s", detail: "d", stderr: "", delivery: "NotSent" }), "now", false],
      [
        new McpError.ConnectionLost({ server: "s", detail: "d", stderr: "", delivery: "OutcomeUnknown" }),
        "afterChecking",
        true
      ],
      [new McpError.Overloaded({ server: "s", scope: "Pool", running: 1, waiting: 1 }), "later", false],
      [new McpError.UnknownTool({ server: "s", tool: "a", nearest: [] }), "differently", false],
      [new McpError.InvalidResult({ server: "s", request, detail: "d" }), "differently", false],
      [new McpError.PoolClosed({ server: "s", state: "Closed" }), "never", false]
    ]
    for (const [reason, tryAgain, mayHaveRun] of reasons) {
      assert.deepInclude(told(reason), { error: reason._tag, tryAgain, mayHaveRun })
    }
    assert.strictEqual(told(reasons[0]![0]).retryAfterSeconds, 2)
  })

  it("has a tool's own words, and nothing of the server's process", () => {
    const failed = told(new McpError.ToolError({ server: "s", tool: "a", text: "no such shelf", result: {} }))
    assert.strictEqual(failed.message, "no such shelf")
    const stderr = "at /home/ada/server.js"
    const lost = told(new McpError.ConnectionLost({ server: "s", detail: "d", stderr, delivery: "OutcomeUnknown" }))
    const unreachable = told(
      new McpError.ConnectFailed({
        server: "s",
        phase: "Start",
        target: "/home/ada/server",
        detail: "no /home/ada/server",
        stderr,
        noise: [stderr],
        attempt: 1
      })
    )
    for (const { message } of [lost, unreachable]) assert.notInclude(message, "ada")
  })
})
