import { assert, it } from "@effect/vitest"
import { Fault } from "@scoped-mcp/testing"
import { Duration, Schema } from "effect"

it("is data that can be printed", () => {
  assert.strictEqual(Fault.print(Fault.noHandshake), "NoHandshake")
  assert.strictEqual(
    Fault.print(Fault.first(Fault.flapping({ calls: 2, down: "30 seconds" }), 3)),
    "Flapping (calls: 2, down: 30s, connections: 3)"
  )
  assert.strictEqual(
    Fault.print(Fault.crash("Handshake", { signal: "SIGKILL" })),
    'Crash (at: "Handshake", signal: "SIGKILL")'
  )
})

it("survives the way to another process", () => {
  const faults: ReadonlyArray<Fault.Process> = [
    Fault.slowStart("2 seconds"),
    Fault.flapping({ after: "1 minute" }),
    Fault.crash(3, { exitCode: 7 }),
    Fault.helpers("launcher"),
    Fault.stdoutNoise("a banner", "another"),
    Fault.wrongShape("tools/list", { tools: 3 })
  ]
  const codec = Schema.fromJsonString(Schema.Array(Fault.Process))
  const back = Schema.decodeSync(codec)(Schema.encodeSync(codec)(faults))
  assert.deepStrictEqual(back.map(Fault.print), faults.map(Fault.print))
  assert.deepStrictEqual(back[0], { _tag: "SlowStart", delay: Duration.seconds(2) })
})

it("says by its type where it fits", () => {
  const inMemory: ReadonlyArray<Fault.Wire> = [Fault.noHandshake]
  const process: ReadonlyArray<Fault.Process> = [...inMemory, Fault.ignoreTerm, Fault.halfAnswers]
  const http: ReadonlyArray<Fault.Http> = [...inMemory, Fault.refuse(503), Fault.halfAnswers]
  // @ts-expect-error a server in memory has no signals
  const wrong: Fault.Wire = Fault.ignoreTerm
  // @ts-expect-error nor has one over HTTP
  const alsoWrong: Fault.Http = Fault.frozen(3)
  assert.strictEqual([...process, ...http, wrong, alsoWrong].length, 8)
})
