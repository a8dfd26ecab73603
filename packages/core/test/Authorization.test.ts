import { assert, describe, it } from "@effect/vitest"
import { Authorization, ServerConfig, ServerSource } from "@scoped-mcp/core"
import { Redacted } from "effect"

const url = "https://mcp.example/mcp"
const issuer = "https://login.example"

const every = (secret: string): Readonly<Record<string, Authorization.Authorization>> => ({
  bearer: Authorization.bearer(secret),
  code: Authorization.code({ clientId: "c", clientSecret: secret, scope: "read" }),
  "client credentials": Authorization.clientCredentials({ clientId: "c", clientSecret: secret, issuer }),
  "a private key": Authorization.privateKeyJwt({ clientId: "c", privateKey: secret, algorithm: "ES256", issuer }),
  "an assertion": Authorization.privateKeyJwt({ clientId: "c", assertion: secret, issuer }),
  "a workload's token": Authorization.jwtBearer({ clientId: "c", assertion: secret, dpop: true }),
  "an enterprise's consent": Authorization.enterpriseManaged({
    clientId: "c",
    idp: { issuer: "https://idp.example", clientId: "c", idToken: secret }
  })
})

const kinds = Object.keys(every(""))

describe("Authorization", () => {
  it.each(kinds)("is data: %s is the same as its like, and another with another secret", (kind) => {
    const config = (secret: string) => ServerConfig.http({ url, auth: every(secret)[kind] })
    assert.isTrue(ServerSource.isSame(config("canary-1"), config("canary-1\n")))
    assert.isFalse(ServerSource.isSame(config("canary-1"), config("canary-2")))
    assert.isFalse(ServerSource.isSame(config("canary-1"), ServerConfig.http({ url })))
  })

  it.each(kinds)("shows no secret of %s, and names it for scrubbing", (kind) => {
    const config = ServerConfig.http({ url, auth: every("canary-secret")[kind] })
    assert.notInclude(JSON.stringify(config), "canary-secret")
    assert.include(ServerConfig.secrets(config), "canary-secret")
  })

  it("names the lines of a key for scrubbing", () => {
    const auth = Authorization.privateKeyJwt({
      clientId: "c",
      privateKey: Redacted.make("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----"),
      algorithm: "ES256"
    })
    assert.include(Authorization.secrets(auth), "MIGHAgEAMBMG")
  })

  const mistakes: Readonly<Record<string, readonly [make: () => unknown, message: RegExp]>> = {
    "an Authorization header beside auth": [
      () => ServerConfig.http({ url, headers: { authorization: "x" }, auth: Authorization.bearer("x") }),
      /must not hold Authorization/
    ],
    "a secret without a client": [() => Authorization.code({ clientSecret: "x" }), /needs a clientId/],
    "a port that is none": [() => Authorization.code({ redirectPort: 70_000 }), /redirectPort/],
    "a path without a slash": [() => Authorization.code({ redirectPath: "callback" }), /redirectPath/],
    "a description without https": [
      () => Authorization.code({ clientMetadataUrl: "http://us.example/client.json" }),
      /clientMetadataUrl/
    ],
    "an issuer that is no address": [() => Authorization.code({ issuer: "login" }), /issuer/],
    "an empty client": [() => Authorization.jwtBearer({ clientId: " ", assertion: "x" }), /clientId/],
    "a limit of nothing": [() => Authorization.code({ requestTimeout: "0 seconds" }), /requestTimeout/],
    "a provider that is no address": [
      () =>
        Authorization.enterpriseManaged({ clientId: "c", idp: { tokenEndpoint: "x", clientId: "c", idToken: "x" } }),
      /idp\.tokenEndpoint/
    ]
  }
  it.each(Object.keys(mistakes))("refuses %s", (name) => {
    const [make, message] = mistakes[name]!
    assert.throws(make, message)
  })
})
