import { assert, describe, it } from "@effect/vitest"
import { McpError } from "@scoped-mcp/core"
import { Cause, Duration, Exit } from "effect"
import * as CallTally from "../../src/internal/CallTally.ts"

describe("CallTally", () => {
  it("counts a call under the way it ended", () => {
    const tally = CallTally.make()
    const server = "s"
    const fail = (reason: McpError.Reason) => tally.count(Exit.fail(new McpError.McpError({ reason })), 7)
    tally.count(Exit.void, 3)
    fail(new McpError.ToolError({ server, tool: "t", text: "", result: {} }))
    fail(
      new McpError.CallTimeout({ server, request: "r", phase: "Idle", limit: Duration.seconds(1), delivery: "NotSent" })
    )
    fail(new McpError.Suspended({ server }))
    fail(new McpError.InvalidResult({ server, request: "r", detail: "d" }))
    tally.count(Exit.interrupt(1), 7)
    tally.count(Exit.failCause(Cause.die("defect")), 7)
    assert.deepStrictEqual(tally.counts(), {
      succeeded: 1,
      toolFailed: 1,
      timedOut: 1,
      cancelled: 1,
      refused: 1,
      failed: 2
    })
    // Only answers tell how long one takes.
    assert.strictEqual(tally.latency.stats().count, 2)
  })
})
