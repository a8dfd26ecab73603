import { assert, describe, it } from "@effect/vitest"
import { McpError as Runtime } from "@scoped-mcp/core"
import { CallTimeout, McpError, ToolError } from "@scoped-mcp/handle"
import { Duration } from "effect"
import { byReason } from "../src/errors.ts"
import { error, plain } from "../src/internal/plain.ts"

const server = "files"
const request = 'tool "read"'

const reasons: { readonly [Tag in Runtime.Reason["_tag"]]: Extract<Runtime.Reason, { readonly _tag: Tag }> } = {
  ConnectFailed: new Runtime.ConnectFailed({
    server,
    phase: "Start",
    target: "npx files",
    detail: "no such program",
    exitCode: 3,
    stderr: "last words",
    noise: ["hello"],
    attempt: 2
  }),
  AcquireTimeout: new Runtime.AcquireTimeout({ server, waited: Duration.seconds(30) }),
  CallTimeout: new Runtime.CallTimeout({
    server,
    request,
    phase: "Idle",
    limit: Duration.seconds(60),
    delivery: "OutcomeUnknown"
  }),
  Overloaded: new Runtime.Overloaded({ server, scope: "Pool", running: 100, waiting: 1000 }),
  CircuitOpen: new Runtime.CircuitOpen({ server, retryAfter: Duration.seconds(4), lastFailure: "it died" }),
  Unhealthy: new Runtime.Unhealthy({ server, check: "ping", detail: "no answer", failures: 3 }),
  ConnectionLost: new Runtime.ConnectionLost({
    server,
    detail: "its process has ended",
    signal: "SIGKILL",
    stderr: "",
    delivery: "OutcomeUnknown"
  }),
  SessionExpired: new Runtime.SessionExpired({ server }),
  AuthRequired: new Runtime.AuthRequired({ server, status: 401, authorizationUrl: "https://example.com/allow" }),
  AuthorizationFailed: new Runtime.AuthorizationFailed({
    server,
    step: "Refresh",
    code: "invalid_grant",
    detail: "refused",
    transient: false
  }),
  InvalidArguments: new Runtime.InvalidArguments({ server, request, detail: "a cycle" }),
  InputRequired: new Runtime.InputRequired({ server, request, detail: "nobody answers" }),
  ProtocolError: new Runtime.ProtocolError({
    server,
    request,
    code: -32603,
    status: 500,
    detail: "internal",
    data: { more: [1] },
    delivery: "Answered"
  }),
  ToolError: new Runtime.ToolError({ server, tool: "read", text: "no such file", result: { isError: true } }),
  InvalidResult: new Runtime.InvalidResult({ server, request, detail: "no content" }),
  SkillRejected: new Runtime.SkillRejected({ server, uri: "skill://a", check: "Digest", detail: "another one" }),
  MessageTooLarge: new Runtime.MessageTooLarge({
    server,
    request,
    direction: "Response",
    limit: 1024,
    delivery: "Answered"
  }),
  UnknownServer: new Runtime.UnknownServer({ server, nearest: ["file"] }),
  UnknownTool: new Runtime.UnknownTool({ server, tool: "raed", nearest: ["read"] }),
  ServerDisabled: new Runtime.ServerDisabled({ server, why: "the variable TOKEN is not set" }),
  Suspended: new Runtime.Suspended({ server }),
  PoolClosed: new Runtime.PoolClosed({ server, state: "Closed" }),
  LeaseEnded: new Runtime.LeaseEnded({ server }),
  NamespaceRefused: new Runtime.NamespaceRefused({ server: "*", namespace: "a b", detail: "no" })
}

const fieldsOf = (value: object) =>
  Object.fromEntries(
    Object.entries(value).filter(([name]) => !["_tag", "name", "message", "stack", "cause", "reason"].includes(name))
  )

describe("an error", () => {
  it.each(Object.values(reasons))(
    "of the reason $_tag is an instance of the class of that name, with the same fields",
    (reason) => {
      const runtime = new Runtime.McpError({ reason })
      const ours = error(runtime)
      const Class = byReason[reason._tag]
      assert.isTrue(ours instanceof Class)
      assert.instanceOf(ours, McpError)
      assert.instanceOf(ours, Error)
      assert.strictEqual(ours.name, reason._tag)
      assert.strictEqual(ours.reason, reason._tag)
      assert.strictEqual(ours.message, runtime.message)
      assert.strictEqual(ours.delivery, runtime.delivery)
      const { delivery: _, ...fields } = fieldsOf(ours)
      const { delivery: __, ...expected } = fieldsOf(reason)
      assert.deepStrictEqual(fields, plain(expected))
    }
  )

  it("has lengths of time in milliseconds", () => {
    const ours = error(new Runtime.McpError({ reason: reasons.CallTimeout }))
    assert.isTrue(ours instanceof CallTimeout && ours.limit === 60_000)
  })

  it("is told from another by its class or its reason", () => {
    const ours: unknown = error(new Runtime.McpError({ reason: reasons.ToolError }))
    assert.notInstanceOf(ours, CallTimeout)
    // Each names its own fields: this would not compile otherwise.
    if (ours instanceof ToolError) assert.strictEqual(ours.reason satisfies "ToolError", "ToolError")
  })
})
