/** An authorisation server that gives tokens to everybody, and an MCP server whose tools need them. */
import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import { type Exchange, serve, status } from "./HttpServer.ts"

const json = ({ response }: Exchange, body: unknown, code = 200) =>
  void response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body))

const originOf = ({ request }: Exchange) => `http://${request.headers.host}`

/** `give` may be called later than a token is asked for; tokens are counted from 1. */
export const serveTokens = Effect.fnUntraced(function* (
  onAsked: (number: number, give: () => void) => void = (_number, give) => give()
) {
  const good = new Set<string | undefined>()
  let asked = 0
  const { server } = yield* serve({
    "/.well-known/oauth-authorization-server": (exchange) => {
      const origin = originOf(exchange)
      json(exchange, {
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
        response_types_supported: ["code"],
        grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
        token_endpoint_auth_methods_supported: ["none", "client_secret_basic"],
        code_challenge_methods_supported: ["S256"]
      })
    },
    "/register": (exchange) =>
      json(exchange, { client_id: "registered", redirect_uris: JSON.parse(exchange.body)["redirect_uris"] }, 201),
    // The person agrees at once.
    "/authorize": (exchange) => {
      const { searchParams } = new URL(exchange.request.url ?? "", originOf(exchange))
      const back = new URL(searchParams.get("redirect_uri") ?? "")
      back.searchParams.set("code", "agreed")
      const state = searchParams.get("state")
      if (state !== null) back.searchParams.set("state", state)
      status(302, { location: back.href })(exchange)
    },
    "/token": (exchange) =>
      onAsked(++asked, () => {
        const token = randomUUID()
        good.add(`Bearer ${token}`)
        json(exchange, { access_token: token, token_type: "Bearer", expires_in: 3600, refresh_token: "again" })
      })
  })
  return {
    issuer: server.url.origin,
    asked: () => asked,
    isGood: ({ request }: Exchange) => good.has(request.headers.authorization),
    revoke: () => good.clear()
  }
})

export type Tokens = Effect.Success<ReturnType<typeof serveTokens>>

/** Tools run with a good token of whoever gives them at that time. */
export const serveGuarded = Effect.fnUntraced(function* (options: {
  readonly tokens: () => Tokens
  readonly call: (exchange: Exchange) => void
  readonly refuse?: (refuse: () => void) => void
}) {
  const metadata = "/.well-known/oauth-protected-resource/mcp"
  const { server } = yield* serve({
    [metadata]: (exchange) =>
      json(exchange, { resource: `${originOf(exchange)}/mcp`, authorization_servers: [options.tokens().issuer] }),
    "tools/call": (exchange) => {
      if (options.tokens().isGood(exchange)) return options.call(exchange)
      const challenge = `Bearer resource_metadata="${originOf(exchange)}${metadata}"`
      const refuse = () => status(401, { "www-authenticate": challenge })(exchange)
      return options.refuse === undefined ? refuse() : options.refuse(refuse)
    }
  })
  return server
})
