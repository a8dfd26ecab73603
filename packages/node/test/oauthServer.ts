/**
 * An authorisation server and the MCP endpoint behind it, over real HTTP on the loopback. Refresh tokens are good once;
 * one that comes a second time ends everything, as a strict server does.
 */
import { createHash, randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

interface Grant {
  readonly client: string
  readonly scope: string
  readonly challenge: string
  readonly redirect: string
}

const listen = (answer: RequestListener) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer(answer)
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )

const read = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of request) text += String(chunk)
  return text
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}

export const make = Effect.gen(function* () {
  const clients = new Map<string, ReadonlyArray<string>>()
  const codes = new Map<string, Grant>()
  const refreshTokens = new Map<string, string>()
  const used = new Set<string>()
  const accessTokens = new Map<string, string>()
  const seen = {
    tokenRequests: [] as Array<string>,
    registrations: 0,
    consents: 0,
    revoked: [] as Array<string>,
    refusals: 0,
    calls: [] as Array<string>,
    /** A refresh token came a second time. */
    reused: false
  }
  const settings = { expiresIn: 3600, toolScope: "read", deny: false }

  const issue = (scope: string) => {
    const access = `access-canary-${randomUUID()}`
    const refresh = `refresh-canary-${randomUUID()}`
    accessTokens.set(access, scope)
    refreshTokens.set(refresh, scope)
    return {
      access_token: access,
      refresh_token: refresh,
      token_type: "Bearer",
      expires_in: settings.expiresIn,
      scope
    }
  }

  const token = (form: URLSearchParams): readonly [status: number, body: unknown] => {
    const refuse = (error: string) => [400, { error, error_description: `no ${JSON.stringify([...form])}` }] as const
    seen.tokenRequests.push(form.get("grant_type") ?? "")
    if (form.get("grant_type") === "refresh_token") {
      const refresh = form.get("refresh_token") ?? ""
      const scope = refreshTokens.get(refresh)
      if (scope === undefined) {
        if (used.has(refresh)) seen.reused = true
        return refuse("invalid_grant")
      }
      refreshTokens.delete(refresh)
      used.add(refresh)
      return [200, issue(scope)]
    }
    const grant = codes.get(form.get("code") ?? "")
    const verifier = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url")
    if (grant?.challenge !== verifier || grant.redirect !== form.get("redirect_uri")) return refuse("invalid_grant")
    codes.delete(form.get("code") ?? "")
    return [200, issue(grant.scope)]
  }

  const login: string = yield* listen((request, response) => {
    const url = new URL(request.url ?? "", login)
    const query = url.searchParams
    void read(request).then((body) => {
      switch (url.pathname) {
        case "/.well-known/oauth-authorization-server":
          return json(response, 200, {
            issuer: login,
            authorization_endpoint: `${login}/authorize`,
            token_endpoint: `${login}/token`,
            registration_endpoint: `${login}/register`,
            revocation_endpoint: `${login}/revoke`,
            response_types_supported: ["code"],
            code_challenge_methods_supported: ["S256"],
            token_endpoint_auth_methods_supported: ["none"],
            authorization_response_iss_parameter_supported: true
          })
        case "/register": {
          seen.registrations++
          const { redirect_uris } = JSON.parse(body) as { readonly redirect_uris: ReadonlyArray<string> }
          const id = randomUUID()
          clients.set(id, redirect_uris)
          return json(response, 201, { client_id: id, redirect_uris, token_endpoint_auth_method: "none" })
        }
        case "/authorize": {
          seen.consents++
          const redirect = query.get("redirect_uri") ?? ""
          if (clients.get(query.get("client_id") ?? "")?.includes(redirect) !== true) {
            return json(response, 400, { error: "invalid_request" })
          }
          const back = new URL(redirect)
          back.searchParams.set("state", query.get("state") ?? "")
          back.searchParams.set("iss", login)
          if (settings.deny) back.searchParams.set("error", "access_denied")
          else {
            const code = `code-canary-${randomUUID()}`
            codes.set(code, {
              client: query.get("client_id") ?? "",
              scope: query.get("scope") ?? "",
              challenge: query.get("code_challenge") ?? "",
              redirect
            })
            back.searchParams.set("code", code)
          }
          response.writeHead(302, { location: back.href })
          return response.end()
        }
        case "/token":
          return json(response, ...token(new URLSearchParams(body)))
        case "/revoke": {
          const revoked = new URLSearchParams(body).get("token") ?? ""
          seen.revoked.push(revoked)
          refreshTokens.delete(revoked)
          return json(response, 200, {})
        }
        default:
          return json(response, 404, {})
      }
    })
  })

  const mcp: string = yield* listen((request, response) => {
    void read(request).then((body) => {
      if (request.url === "/.well-known/oauth-protected-resource/mcp") {
        return json(response, 200, {
          resource: `${mcp}/mcp`,
          authorization_servers: [login],
          scopes_supported: ["read"]
        })
      }
      if (request.method !== "POST") return json(response, 405, {})
      const metadata = `resource_metadata="${mcp}/.well-known/oauth-protected-resource/mcp"`
      const scope = accessTokens.get(request.headers.authorization?.slice("Bearer ".length) ?? "")
      if (scope === undefined) {
        seen.refusals++
        return json(response, 401, {}, { "www-authenticate": `Bearer ${metadata}, scope="read"` })
      }
      const frame = JSON.parse(body) as {
        readonly id?: number
        readonly method: string
        readonly params: Record<string, unknown>
      }
      if (frame.method === "tools/call" && !scope.split(" ").includes(settings.toolScope)) {
        const wants = `error="insufficient_scope", scope="${settings.toolScope}"`
        return json(response, 403, {}, { "www-authenticate": `Bearer ${wants}, ${metadata}` })
      }
      const answer = (result: unknown) => json(response, 200, { jsonrpc: "2.0", id: frame.id, result })
      if (frame.method === "initialize") {
        return answer({
          protocolVersion: frame.params["protocolVersion"],
          capabilities: { tools: {} },
          serverInfo: { name: "guarded", version: "1" }
        })
      }
      if (frame.method === "tools/call") {
        seen.calls.push(String(frame.params["name"]))
        return answer({ content: [{ type: "text", text: "hello" }] })
      }
      if (frame.id === undefined) return response.writeHead(202).end()
      return json(response, 200, { jsonrpc: "2.0", id: frame.id, error: { code: -32601, message: "no such method" } })
    })
  })

  return {
    url: `${mcp}/mcp`,
    login,
    seen,
    settings,
    /** As a server does that was told so by an administrator. */
    revokeAccess: () => accessTokens.clear()
  }
})
