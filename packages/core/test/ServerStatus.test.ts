import { assert, describe, it } from "@effect/vitest"
import { ServerStatus } from "@scoped-mcp/core"

const all = ServerStatus.ServerStatus.literals

describe("ServerStatus", () => {
  it("can always come to an end, and every state can be reached from the first", () => {
    const reachable = (from: ServerStatus.ServerStatus) => {
      const seen = new Set([from])
      for (const at of seen) for (const to of all) if (ServerStatus.isLegal(at, to)) seen.add(to)
      return seen
    }
    for (const status of all) assert.isTrue(reachable(status).has("Closed"), status)
    assert.strictEqual(reachable("Idle").size, all.length)
  })

  it("never stays where it is as a change, and opens only by way of Connecting", () => {
    for (const status of all) {
      assert.isFalse(ServerStatus.isLegal(status, status), status)
      const becomesReady = ServerStatus.isLegal(status, "Ready")
      assert.strictEqual(becomesReady, status === "Connecting" || status === "Degraded", status)
    }
    assert.deepStrictEqual(
      all.filter((status) => ServerStatus.isLegal("Closing", status)),
      ["Closed"]
    )
    assert.isFalse(ServerStatus.isLegal("Disabled", "Connecting"))
    assert.isFalse(ServerStatus.isLegal("Closed", "Connecting"))
  })

  it("maps onto the four states that other clients know", () => {
    assert.deepStrictEqual(Object.fromEntries(all.map((status) => [status, ServerStatus.toClassic(status)])), {
      Idle: "disconnected",
      Connecting: "connecting",
      Ready: "connected",
      Degraded: "connected",
      Recovering: "error",
      CircuitOpen: "error",
      Disabled: "disconnected",
      Closing: "disconnected",
      Closed: "disconnected"
    })
  })
})
