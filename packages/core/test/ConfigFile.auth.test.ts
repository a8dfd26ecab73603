import { assert, describe, it } from "@effect/vitest"
import { Authorization, ConfigFile, ServerConfig, ServerSource } from "@scoped-mcp/core"
import { ConfigProvider, Effect } from "effect"

const url = "https://mcp.example/mcp"
const env = { SECRET: "canary-secret", KEY: "canary-key", TOKEN: "canary-token" }

const parse = (auth: string, variables: Readonly<Record<string, string>> = env) =>
  ConfigFile.parse("mcp.yaml", `servers:\n  far: { url: "${url}", auth: ${auth} }\n`).pipe(
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: { ...variables } })),
    Effect.map(({ servers }) => servers["far"]!)
  )

const kinds: Readonly<Record<string, readonly [written: string, meant: Authorization.Authorization]>> = {
  "a token": ["{ type: bearer, token: '${TOKEN}' }", Authorization.bearer("canary-token")],
  "a person's consent": [
    "{ type: code, scope: read, redirectPort: 7777, consentTimeout: 60, dpop: true }",
    Authorization.code({ scope: "read", redirectPort: 7777, consentTimeout: "60 seconds", dpop: true })
  ],
  "a client's secret": [
    "{ type: clientCredentials, clientId: c, clientSecret: '${SECRET}', clientAuthentication: post, issuer: https://login.example }",
    Authorization.clientCredentials({
      clientId: "c",
      clientSecret: "canary-secret",
      clientAuthentication: "post",
      issuer: "https://login.example"
    })
  ],
  "a client's key": [
    "{ type: privateKeyJwt, clientId: c, privateKey: '${KEY}', algorithm: ES256 }",
    Authorization.privateKeyJwt({ clientId: "c", privateKey: "canary-key", algorithm: "ES256" })
  ],
  "a client's assertion": [
    "{ type: privateKeyJwt, clientId: c, assertionFile: /var/run/assertion }",
    Authorization.privateKeyJwt({ clientId: "c", assertion: { file: "/var/run/assertion" } })
  ],
  "a workload's token": [
    "{ type: jwtBearer, clientId: c, assertionFile: /var/run/token }",
    Authorization.jwtBearer({ clientId: "c", assertion: { file: "/var/run/token" } })
  ],
  "an enterprise's consent": [
    "{ type: enterpriseManaged, clientId: c, clientSecret: '${SECRET}', idp: { issuer: https://idp.example, clientId: i, idToken: '${TOKEN}' } }",
    Authorization.enterpriseManaged({
      clientId: "c",
      clientSecret: "canary-secret",
      idp: { issuer: "https://idp.example", clientId: "i", idToken: "canary-token" }
    })
  ]
}

describe("auth in a file", () => {
  it.effect.each(Object.keys(kinds))("is %s", (name) =>
    Effect.gen(function* () {
      const [written, meant] = kinds[name]!
      const config = yield* parse(written)
      assert.isTrue(ServerSource.isSame(config, ServerConfig.http({ url, auth: meant })))
      assert.notInclude(JSON.stringify(config), "canary")
    })
  )

  it.effect.each([
    ["{ type: magic }", "servers.far.auth.type: expected bearer or code or"],
    ["yes", "servers.far.auth: expected a map with a type"],
    ["{ type: code, clientid: c }", "servers.far.auth.clientid: unknown key; did you mean clientId?"],
    ["{ type: bearer }", "servers.far.auth.token: expected, and not there"],
    ["{ type: bearer, token: '${NOWHERE}', tokn: 3 }", "servers.far.auth.tokn: unknown key; did you mean token?"],
    ["{ type: code, redirectPort: 70000 }", "servers.far.auth: redirectPort must be a port"],
    ["{ type: jwtBearer, clientId: c }", "servers.far.auth: expected either assertion or assertionFile"],
    [
      "{ type: privateKeyJwt, clientId: c, privateKey: k, assertion: a, algorithm: ES256 }",
      "servers.far.auth: expected either privateKey or assertion"
    ],
    [
      "{ type: enterpriseManaged, clientId: c, idp: { clientId: i, idToken: t } }",
      "servers.far.auth: expected either idp.issuer or idp.tokenEndpoint"
    ]
  ] as const)("is told to be wrong, with its place: %s", ([written, message]) =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(parse(written))).message, message)
    })
  )

  it.effect("disables the server when a variable of it is not set", () =>
    Effect.gen(function* () {
      const config = yield* parse("{ type: bearer, token: '${TOKEN}' }", {})
      assert.strictEqual(config.disabled, "the variable TOKEN is not set")
      const port = yield* parse("{ type: code, redirectPort: '${PORT}', clientName: '${NAME:-me}' }", {})
      assert.strictEqual(port.disabled, "the variable PORT is not set")
    })
  )

  it.effect("is not possible beside command", () =>
    Effect.gen(function* () {
      const text = "servers:\n  near: { command: x, auth: { type: code } }\n"
      const error = yield* Effect.flip(ConfigFile.parse("mcp.yaml", text))
      assert.include(error.message, "servers.near.auth: not possible beside command")
    })
  )
})
