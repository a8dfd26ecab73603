import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { ServerConfig } from "@scoped-mcp/core"
import { Equal, Redacted } from "effect"

const canary = "canary-4711"

describe("ServerConfig", () => {
  const stdio = () =>
    ServerConfig.stdio({
      command: "run-me",
      args: ["--verbose", Redacted.make(`--token=${canary}`)],
      env: { TOKEN: `${canary}-env`, SHORT: "abc" },
      callTimeout: "20 seconds"
    })
  const http = () =>
    ServerConfig.http({
      url: `https://user:${canary}-password@example.com/mcp?key=${canary}-query`,
      headers: { Authorization: `Bearer ${canary}-header` }
    })
  const sse = () => ServerConfig.sse({ url: `https://example.com/sse?key=${canary}-query` })

  it("refuses an empty command and an address that is not absolute http(s)", () => {
    assert.throws(() => ServerConfig.stdio({ command: " " }), "command must not be empty")
    for (const url of ["/mcp", "example.com", "ftp://example.com", ""]) {
      assert.throws(() => ServerConfig.http({ url }), "url must be an absolute http: or https: address")
    }
    assert.strictEqual(ServerConfig.http({ url: "", disabled: "no address yet" }).disabled, "no address yet")
  })

  it("names the server without its secrets", () => {
    assert.strictEqual(ServerConfig.target(stdio()), "run-me --verbose <redacted>")
    assert.strictEqual(ServerConfig.target(http()), "https://example.com/mcp")
    assert.strictEqual(ServerConfig.target(sse()), "https://example.com/sse")
  })

  it("lists every secret of at least 6 characters, with and without its scheme", () => {
    assert.sameMembers([...ServerConfig.secrets(stdio())], [`${canary}-env`, `--token=${canary}`])
    assert.sameMembers(
      [...ServerConfig.secrets(http())],
      [
        `Bearer ${canary}-header`,
        `${canary}-header`,
        `${canary}-query`,
        `key=${canary}-query`,
        `${canary}-password`,
        btoa(`user:${canary}-password`)
      ]
    )
  })

  it("takes inherited variables for secrets that were asked for by name, and of all others those that look like it", () => {
    const plain = { PLAIN: "plain-value", PWD: "/home/someone", SSH_AUTH_SOCK: "/tmp/agent.1" }
    const secret = { DEPLOY_TOKEN: "deploy-1", MYSQL_PWD: "mysql-1", URL: "postgres://user:hidden@host/shop" }
    const of = (inheritEnv: ServerConfig.InheritEnv) =>
      ServerConfig.secrets(ServerConfig.stdio({ command: "c", inheritEnv }), { ...plain, ...secret })
    assert.sameMembers([...of("all")], [...Object.values(secret), "hidden"])
    assert.sameMembers([...of(["PLAIN", "and so on"])], [...Object.values(plain), ...Object.values(secret), "hidden"])
  })

  it("takes a password as it is when it is no percent-encoding", () => {
    const odd = ServerConfig.http({ url: "https://user:100%zz-sure@example.com/" })
    assert.include(ServerConfig.secrets(odd), "100%zz-sure")
  })

  it("prints without its secrets, however it is printed", () => {
    for (const config of [stdio(), http(), sse()]) {
      const printed = [JSON.stringify(config), inspect(config, { depth: 9, showHidden: true })].join()
      assert.notInclude(printed, canary)
    }
  })

  it("is equal to another of the same content, secrets included", () => {
    assert.isTrue(Equal.equals(stdio(), stdio()))
    assert.isTrue(Equal.equals(http(), http()))
    assert.isTrue(Equal.equals(sse(), sse()))
    const url = "https://example.com/mcp"
    assert.isFalse(Equal.equals(ServerConfig.http({ url }), ServerConfig.sse({ url })))
    assert.isFalse(Equal.equals(stdio(), ServerConfig.stdio({ command: "run-me" })))
    const withToken = (TOKEN: string) => ServerConfig.stdio({ command: "c", env: { TOKEN } })
    assert.isFalse(Equal.equals(withToken("one-token"), withToken("two-token")))
  })
})
