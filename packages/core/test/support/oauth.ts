/** An MCP server with its authorisation server, under the control of a test: no socket, no process. */
import { AuthorizationBrowser, HttpDispatcher, LoopbackListener } from "@scoped-mcp/core"
import { Deferred, Effect, Layer } from "effect"

export interface Asked {
  readonly path: string
  readonly origin: string
  readonly headers: Headers
  readonly form: Readonly<Record<string, string>>
}

type Answer = Response | Promise<Response> | undefined | void

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } })

export const refusal = (error: string, status = 400, error_description?: string) =>
  json({ error, error_description }, status)

/** A token request that is answered when the test says so, unless it is given up before. */
export const held = () => {
  const answer = Promise.withResolvers<Response>()
  return { answer: answer.promise, resolve: answer.resolve }
}

export class FakeOAuth {
  readonly server = "https://mcp.example/mcp"
  issuer = "https://login.example"
  readonly asked: Array<Asked> = []
  readonly aborted: Array<string> = []
  /** Answers a token request in place of the usual. */
  onToken: (asked: Asked) => Answer = () => undefined
  scopesSupported: ReadonlyArray<string> | undefined
  metadata: Readonly<Record<string, unknown>> = {}
  expiresIn: number | undefined = 3600
  tokenType = "Bearer"
  /** Good once each. */
  readonly refreshTokens = new Set<string>()
  accessToken: string | undefined
  count = 0

  to(path: string) {
    return this.asked.filter((asked) => asked.path === path)
  }

  issue(scope?: string) {
    this.count++
    const refresh = `refresh-canary-${this.count}`
    this.refreshTokens.add(refresh)
    this.accessToken = `access-canary-${this.count}`
    return json({
      access_token: this.accessToken,
      token_type: this.tokenType,
      refresh_token: refresh,
      ...(this.expiresIn === undefined ? {} : { expires_in: this.expiresIn }),
      ...(scope === undefined ? {} : { scope })
    })
  }

  private answer(asked: Asked): Answer {
    const { form, origin, path } = asked
    switch (path) {
      case "/.well-known/oauth-protected-resource/mcp":
        return json({
          resource: this.server,
          authorization_servers: [this.issuer],
          ...(this.scopesSupported === undefined ? {} : { scopes_supported: this.scopesSupported })
        })
      case "/.well-known/oauth-authorization-server":
        return json({
          issuer: origin,
          authorization_endpoint: `${origin}/authorize`,
          token_endpoint: `${origin}/token`,
          registration_endpoint: `${origin}/register`,
          revocation_endpoint: `${origin}/revoke`,
          response_types_supported: ["code"],
          code_challenge_methods_supported: ["S256"],
          ...this.metadata
        })
      case "/register":
        return json(
          {
            client_id: `client-of-${origin}`,
            client_secret: "client-canary-1",
            redirect_uris: JSON.parse(form["json"]!).redirect_uris
          },
          201
        )
      case "/revoke":
        return new Response(null, { status: 200 })
      case "/token": {
        const special = this.onToken(asked)
        if (special !== undefined) return special
        if (form["grant_type"] !== "refresh_token") return this.issue(form["scope"])
        return this.refreshTokens.delete(form["refresh_token"]!) ? this.issue() : refusal("invalid_grant")
      }
      default:
        return new Response(null, { status: 404 })
    }
  }

  readonly fetch: HttpDispatcher.HttpDispatcher["Service"]["fetch"] = (address, init) => {
    const url = new URL(address)
    const body = init?.body
    const asked: Asked = {
      path: url.pathname,
      origin: url.origin,
      headers: new Headers(init?.headers),
      form:
        body instanceof URLSearchParams
          ? Object.fromEntries(body)
          : typeof body === "string" && body.startsWith("{")
            ? { json: body }
            : Object.fromEntries(new URLSearchParams(typeof body === "string" ? body : ""))
    }
    this.asked.push(asked)
    return new Promise<Response>((resolve, reject) => {
      let ended = false
      init?.signal?.addEventListener("abort", () => {
        if (ended) return
        this.aborted.push(asked.path)
        reject(new Error("aborted"))
      })
      void Promise.resolve(this.answer(asked)).then((answer) => {
        ended = true
        resolve(answer!)
      })
    })
  }

  get layer() {
    return Layer.succeed(HttpDispatcher.HttpDispatcher, {
      dispatch: () => {
        throw new Error("only fetch here")
      },
      fetch: this.fetch
    })
  }
}

/** A person with a browser, or without one, who does what the test says. */
export class FakePerson {
  /** The pages they were shown. */
  readonly opened: Array<URL> = []
  readonly listening: Array<LoopbackListener.ListenOptions> = []
  closed = 0
  private answer: Deferred.Deferred<URLSearchParams> | undefined

  /** What they do with each page; nothing, unless told. */
  onOpen: (url: URL) => Readonly<Record<string, string>> | undefined = () => undefined

  /** Comes back from the page, with the state that was sent along. */
  comeBack(answer: Readonly<Record<string, string>>) {
    if (this.answer !== undefined) Deferred.doneUnsafe(this.answer, Effect.succeed(new URLSearchParams(answer)))
  }

  private readonly listener = Layer.succeed(LoopbackListener.LoopbackListener, {
    listen: (options) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          this.listening.push(options)
          const answer = Deferred.makeUnsafe<URLSearchParams>()
          this.answer = answer
          const port = options.port === 0 ? 4000 + this.listening.length : options.port
          return { redirectUrl: new URL(`http://127.0.0.1:${port}${options.path}`), callback: Deferred.await(answer) }
        }),
        () => Effect.sync(() => void this.closed++)
      )
  })

  private readonly browser = Layer.succeed(AuthorizationBrowser.AuthorizationBrowser, {
    open: (url) =>
      Effect.sync(() => {
        this.opened.push(url)
        const answer = this.onOpen(url)
        if (answer !== undefined) this.comeBack(answer)
      })
  })

  get withBrowser() {
    return Layer.merge(this.listener, this.browser)
  }

  get withoutBrowser() {
    return this.listener
  }
}
