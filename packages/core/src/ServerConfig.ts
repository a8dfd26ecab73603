/**
 * How to reach one MCP server, and its limits: plain data that can be compared and printed. Secrets inside are
 * `Redacted` from the moment they are given.
 *
 * @example
 * ```ts
 * import { ServerConfig } from "@scoped-mcp/core"
 *
 * export const files = ServerConfig.stdio({ command: "npx", args: ["-y", "@modelcontextprotocol/server-filesystem", "."] })
 * export const search = ServerConfig.http({ url: "https://example.com/mcp", callTimeout: "20 seconds" })
 * ```
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as Authorization from "./Authorization.ts"
import { basic, decodePart } from "./internal/basicAuth.ts"
import { inheritedSecrets } from "./internal/secretVariables.ts"
import * as Limits from "./Limits.ts"

/**
 * Which variables of our own environment a started server sees besides the ones declared for it: the few that programs
 * need to run at all (`minimal`: PATH, HOME, locale, temporary folder and the like), `none`, `all`, or these by name on
 * top of the minimal ones.
 *
 * The values of variables given by name are treated as secrets, like those of declared ones. Under `all` only those are
 * whose name says so (`TOKEN`, `PASSWORD`, `API_KEY` and the like), or that are addresses with a password: a secret under
 * another name has to be declared, or given by name.
 *
 * @since 0.1.0
 */
export type InheritEnv = "minimal" | "none" | "all" | ReadonlyArray<string>

/**
 * Which era of the protocol is spoken with a server: what it speaks (`auto`), the revisions that open with `initialize`
 * (`legacy`), or 2026-07-28 and later (`modern`). A process is asked in the old way first, an address in the new one.
 *
 * @since 0.1.0
 */
export type Era = "auto" | "legacy" | "modern"

/**
 * A server that is started as a process and spoken to over its standard input and output.
 *
 * @since 0.1.0
 */
export interface Stdio {
  readonly _tag: "Stdio"
  readonly command: string
  readonly args: ReadonlyArray<string | Redacted.Redacted<string>>
  readonly env: Readonly<Record<string, Redacted.Redacted<string>>>
  readonly inheritEnv: InheritEnv
  readonly cwd: string | undefined
  readonly era: Era
  readonly disabled: string | undefined
  readonly limits: Limits.ResolvedLimits
}

/**
 * A server that is reached over Streamable HTTP.
 *
 * @since 0.1.0
 */
export interface Http {
  readonly _tag: "Http"
  readonly url: Redacted.Redacted<string>
  /** The address was given as a secret: its path is one, too. */
  readonly secretUrl: boolean
  readonly headers: Readonly<Record<string, Redacted.Redacted<string>>>
  readonly auth: Authorization.Authorization | undefined
  readonly era: Era
  readonly disabled: string | undefined
  readonly limits: Limits.ResolvedLimits
}

/**
 * A server that is reached over the transport that came before Streamable HTTP: a stream of events, and an address for
 * messages that it names.
 *
 * @since 0.1.0
 */
export interface Sse extends Omit<Http, "_tag"> {
  readonly _tag: "Sse"
}

/** @since 0.1.0 */
export type ServerConfig = Stdio | Http | Sse

type Secret = string | Redacted.Redacted<string>

/** @since 0.1.0 */
export interface StdioOptions extends Limits.ServerLimits {
  /** A program on the PATH, or a path. It is started directly, never through a shell. */
  readonly command: string
  /** Arguments, one each. A `Redacted` one is kept out of errors and logs. */
  readonly args?: ReadonlyArray<Secret> | undefined
  /** Variables for the server; every value is treated as a secret. */
  readonly env?: Readonly<Record<string, Secret>> | undefined
  /** Default `minimal`. */
  readonly inheritEnv?: InheritEnv | undefined
  /** Folder the server starts in. Default: ours. */
  readonly cwd?: string | undefined
  /** Default `auto`. */
  readonly era?: Era | undefined
  /** Why the server is switched off; calls to it then fail with `ServerDisabled`. */
  readonly disabled?: string | undefined
}

/** @since 0.1.0 */
export interface HttpOptions extends Limits.ServerLimits {
  /**
   * Absolute `http:` or `https:` address of the MCP endpoint. Its query and user info are treated as secrets;
   * user info is sent as Basic credentials, unless `Authorization` is declared.
   */
  readonly url: Secret | URL
  /** Headers of every request, `Authorization` for instance; every value is treated as a secret. */
  readonly headers?: Readonly<Record<string, Secret>> | undefined
  /** How the server is told that we may use it, where a header that stays the same is not enough. */
  readonly auth?: Authorization.Authorization | undefined
  /** Default `auto`. */
  readonly era?: Era | undefined
  /** Why the server is switched off; calls to it then fail with `ServerDisabled`. */
  readonly disabled?: string | undefined
}

const redact = (secret: Secret): Redacted.Redacted<string> =>
  typeof secret === "string" ? Redacted.make(secret) : secret

const redactAll = (
  secrets: Readonly<Record<string, Secret>> | undefined,
  change: (text: string) => string = (text) => text
) =>
  Object.fromEntries(
    Object.entries(secrets ?? {}).map(([name, secret]) => [name, Redacted.make(change(Redacted.value(redact(secret))))])
  )

/** A token read from a file ends with a newline more often than not, and no header can hold one. */
const trimmed = (text: string): string => text.trim()

/**
 * A server started as a process.
 *
 * @throws TypeError for an empty command or an impossible limit.
 * @since 0.1.0
 */
export const stdio = (options: StdioOptions): Stdio => {
  if (options.command.trim() === "") throw new TypeError("command must not be empty")
  return {
    _tag: "Stdio",
    command: options.command,
    args: options.args ?? [],
    env: redactAll(options.env),
    inheritEnv: options.inheritEnv ?? "minimal",
    cwd: options.cwd,
    era: options.era ?? "auto",
    disabled: options.disabled,
    limits: Limits.resolve(options)
  }
}

/**
 * A server reached over Streamable HTTP.
 *
 * @throws TypeError for an address that is not absolute http(s), an impossible limit, or `auth` beside an `Authorization` header.
 * @since 0.1.0
 */
export const http = (options: HttpOptions): Http => ({ _tag: "Http", ...reached(options) })

/**
 * A server reached over HTTP+SSE, the transport of revision 2024-11-05. `url` is the address of its event stream.
 *
 * @throws TypeError for an address that is not absolute http(s), or an impossible limit.
 * @since 0.1.0
 */
export const sse = (options: HttpOptions): Sse => ({ _tag: "Sse", ...reached(options) })

const reached = (options: HttpOptions): Omit<Http, "_tag"> => {
  const url = options.url instanceof URL ? Redacted.make(options.url.href) : redact(options.url)
  const protocol = URL.canParse(Redacted.value(url)) ? new URL(Redacted.value(url)).protocol : undefined
  if (options.disabled === undefined && protocol !== "http:" && protocol !== "https:") {
    throw new TypeError("url must be an absolute http: or https: address")
  }
  if (
    options.auth !== undefined &&
    Object.keys(options.headers ?? {}).some((it) => it.toLowerCase() === "authorization")
  ) {
    throw new TypeError("headers must not hold Authorization beside auth, which sets it")
  }
  return {
    url,
    secretUrl: Redacted.isRedacted(options.url),
    headers: redactAll(options.headers, trimmed),
    auth: options.auth,
    era: options.era ?? "auto",
    disabled: options.disabled,
    limits: Limits.resolve(options)
  }
}

/**
 * Where the server is, for people: the command line or the address, without secrets.
 *
 * @since 0.1.0
 */
export const target = (config: ServerConfig): string => {
  switch (config._tag) {
    case "Stdio":
      return [config.command, ...config.args.map((arg) => (typeof arg === "string" ? arg : "<redacted>"))].join(" ")
    case "Http":
    case "Sse": {
      if (!URL.canParse(Redacted.value(config.url))) return "<no address>"
      const url = new URL(Redacted.value(config.url))
      return config.secretUrl ? url.origin : `${url.origin}${url.pathname}`
    }
  }
}

/**
 * The secret texts inside, to be scrubbed from whatever leaves the connection. Shorter ones than 6 characters are left
 * out: scrubbing them would only garble. `added` are the variables that a server inherits from us (`ProcessOwner.added`).
 *
 * @since 0.1.0
 */
export const secrets = (config: ServerConfig, added: Readonly<Record<string, string>> = {}): ReadonlyArray<string> => {
  const found =
    config._tag === "Stdio"
      ? [
          ...Object.values(config.env).map(Redacted.value),
          ...config.args.filter((arg) => typeof arg !== "string").map(Redacted.value),
          ...inheritedSecrets(config.inheritEnv, added)
        ]
      : [
          ...Object.values(config.headers).map(Redacted.value),
          ...urlSecrets(config),
          ...(config.auth === undefined ? [] : Authorization.secrets(config.auth))
        ]
  // A header such as "Bearer abc" is echoed without its scheme more often than with it.
  const parts = found.flatMap((secret) => [secret, ...secret.split(/\s+/).slice(1)])
  return [...new Set(parts)].filter((secret) => secret.length >= 6)
}

const urlSecrets = (config: Http | Sse): ReadonlyArray<string> => {
  const text = Redacted.value(config.url)
  if (!URL.canParse(text)) return []
  const url = new URL(text)
  return [
    ...url.searchParams.values(),
    url.search.slice(1),
    ...(config.secretUrl ? url.pathname.split("/") : []),
    ...[url.password, url.username].flatMap((part) => [part, decodePart(part)]),
    ...(basic(url)?.split(" ") ?? [])
  ]
}
