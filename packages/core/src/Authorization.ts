/**
 * How a program proves to an HTTP server that it may use it: plain data in the server's configuration. Secrets inside
 * are `Redacted` from the moment they are given; what is obtained with them is kept by the `TokenStore`.
 *
 * @example
 * ```ts
 * import { Authorization, ServerConfig } from "@scoped-mcp/core"
 *
 * // A person allows it once, in a browser; afterwards it is renewed by itself.
 * export const mail = ServerConfig.http({ url: "https://mail.example.com/mcp", auth: Authorization.code() })
 *
 * // A service that has an account of its own.
 * export const search = ServerConfig.http({
 *   url: "https://search.example.com/mcp",
 *   auth: Authorization.clientCredentials({
 *     clientId: "nightly-report",
 *     clientSecret: "from-your-vault",
 *     issuer: "https://login.example.com"
 *   })
 * })
 * ```
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import { type Span, span } from "./Limits.ts"

/**
 * A text that proves who somebody is and runs out: given, or read from a file each time it is needed, as platforms
 * supply the identity of a workload.
 *
 * @since 0.1.0
 */
export type Assertion = Redacted.Redacted<string> | { readonly file: string }

/**
 * How a client proves itself at the token endpoint. Without a secret it is a public client.
 *
 * @since 0.1.0
 */
export type ClientProof =
  | { readonly _tag: "Public" }
  | {
      readonly _tag: "Secret"
      readonly secret: Redacted.Redacted<string>
      /** Default: what the authorisation server supports, `basic` first. */
      readonly method: "basic" | "post" | undefined
    }
  | { readonly _tag: "PrivateKey"; readonly key: Redacted.Redacted<string>; readonly algorithm: string }
  | { readonly _tag: "Assertion"; readonly assertion: Assertion }

/** @since 0.1.0 */
export interface Client {
  readonly id: string
  readonly proof: ClientProof
}

interface Common {
  /** Scopes that are asked for besides those that the server names. */
  readonly scope: string | undefined
  /** The authorisation server that may see the credentials. Without it the first one that is used is remembered. */
  readonly issuer: string | undefined
  /** Tells apart credentials of several persons or purposes for the same server. */
  readonly account: string | undefined
  /** Bind tokens to a key of ours, so that a stolen one is of no use (RFC 9449). */
  readonly dpop: boolean
  /** Longest time for all the requests of one step. */
  readonly requestTimeout: Duration.Duration
}

/** @since 0.1.0 */
export interface Bearer {
  readonly _tag: "Bearer"
  readonly token: Redacted.Redacted<string>
}

/**
 * A person allows it in a browser (authorization code with PKCE).
 *
 * @since 0.1.0
 */
export interface Code extends Common {
  readonly _tag: "Code"
  /** A client that the authorisation server knows already. */
  readonly client: Client | undefined
  readonly clientMetadataUrl: string | undefined
  readonly clientName: string
  readonly redirectPort: number
  readonly redirectPath: string
  readonly consentTimeout: Duration.Duration
}

/** @since 0.1.0 */
export interface ClientCredentials extends Common {
  readonly _tag: "ClientCredentials"
  readonly client: Client
}

/** @since 0.1.0 */
export interface JwtBearer extends Common {
  readonly _tag: "JwtBearer"
  readonly client: Client
  readonly assertion: Assertion
}

/** @since 0.1.0 */
export interface EnterpriseManaged extends Common {
  readonly _tag: "EnterpriseManaged"
  readonly client: Client
  readonly idp: {
    /** Its issuer, or directly its token endpoint. */
    readonly at: { readonly issuer: string } | { readonly tokenEndpoint: string }
    readonly clientId: string
    readonly clientSecret: Redacted.Redacted<string> | undefined
    readonly idToken: Assertion
  }
}

/** @since 0.1.0 */
export type OAuth = Code | ClientCredentials | JwtBearer | EnterpriseManaged

/** @since 0.1.0 */
export type Authorization = Bearer | OAuth

type Secret = string | Redacted.Redacted<string>
type AssertionInput = Secret | { readonly file: string }

/** @since 0.1.0 */
export interface CommonOptions {
  /** Scopes, separated by blanks, that are asked for besides those that the server names. */
  readonly scope?: string | undefined
  /** The authorisation server that may see the credentials. Default: the first one that is used is remembered. */
  readonly issuer?: string | undefined
  /** Tells apart credentials of several persons or purposes for the same server. */
  readonly account?: string | undefined
  /** Bind tokens to a key of ours (RFC 9449). The key lives as long as the pool, and so do such tokens. Default `false`. */
  readonly dpop?: boolean | undefined
  /** Longest time for all the requests of one step. Default 20 seconds. */
  readonly requestTimeout?: Span | undefined
}

/** @since 0.1.0 */
export interface CodeOptions extends CommonOptions {
  /** Of a client that the authorisation server knows already. Default: described by address, or registered on first use. */
  readonly clientId?: string | undefined
  readonly clientSecret?: Secret | undefined
  readonly clientAuthentication?: "basic" | "post" | undefined
  /** Address of a document of yours that describes the client; used where the authorisation server reads such. */
  readonly clientMetadataUrl?: string | undefined
  /** What a person is shown. Default `scoped-mcp`. */
  readonly clientName?: string | undefined
  /** Where the browser is sent back to, on this machine. Default: any free port. */
  readonly redirectPort?: number | undefined
  /** Default `/callback`. */
  readonly redirectPath?: string | undefined
  /** Longest time that a person may take. Default 5 minutes. */
  readonly consentTimeout?: Span | undefined
}

/** @since 0.1.0 */
export interface ClientCredentialsOptions extends CommonOptions {
  readonly clientId: string
  readonly clientSecret: Secret
  readonly clientAuthentication?: "basic" | "post" | undefined
}

/** @since 0.1.0 */
export type PrivateKeyJwtOptions = CommonOptions & { readonly clientId: string } & (
    | {
        /** PKCS#8 in PEM, or a JSON Web Key. */
        readonly privateKey: Secret
        /** Such as `ES256` or `RS256`. */
        readonly algorithm: string
      }
    | {
        /** An assertion that somebody else has signed. */
        readonly assertion: AssertionInput
      }
  )

/** @since 0.1.0 */
export interface JwtBearerOptions extends CommonOptions {
  readonly clientId: string
  readonly clientSecret?: Secret | undefined
  readonly clientAuthentication?: "basic" | "post" | undefined
  /** The token that the platform gives to the workload. */
  readonly assertion: AssertionInput
}

/** @since 0.1.0 */
export interface EnterpriseManagedOptions extends CommonOptions {
  /** As registered with the authorisation server of the MCP server. */
  readonly clientId: string
  readonly clientSecret?: Secret | undefined
  readonly clientAuthentication?: "basic" | "post" | undefined
  /** The identity provider of the enterprise, which says what the person may use. */
  readonly idp: ({ readonly issuer: string } | { readonly tokenEndpoint: string }) & {
    readonly clientId: string
    readonly clientSecret?: Secret | undefined
    /** The person's identity token. */
    readonly idToken: AssertionInput
  }
}

/** A secret read from a file ends with a newline more often than not. */
const redact = (secret: Secret): Redacted.Redacted<string> =>
  Redacted.make((Redacted.isRedacted(secret) ? Redacted.value(secret) : secret).trim())

const assertionOf = (input: AssertionInput): Assertion =>
  typeof input === "string" || Redacted.isRedacted(input) ? redact(input) : { file: input.file }

const required = (name: string, value: string): string => {
  if (value.trim() === "") throw new TypeError(`${name} must not be empty`)
  return value
}

const address = (name: string, value: string | undefined): string | undefined => {
  if (value === undefined) return undefined
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    throw new TypeError(`${name} must be an absolute http: or https: address`)
  }
  return value
}

const common = (options: CommonOptions): Common => ({
  scope: options.scope?.trim() || undefined,
  issuer: address("issuer", options.issuer),
  account: options.account,
  dpop: options.dpop ?? false,
  requestTimeout: span("requestTimeout", options.requestTimeout, Duration.seconds(20))
})

const clientOf = (options: {
  readonly clientId: string
  readonly clientSecret?: Secret | undefined
  readonly clientAuthentication?: "basic" | "post" | undefined
}): Client => ({
  id: required("clientId", options.clientId),
  proof:
    options.clientSecret === undefined
      ? { _tag: "Public" }
      : { _tag: "Secret", secret: redact(options.clientSecret), method: options.clientAuthentication }
})

/**
 * A token that you have and renew yourself.
 *
 * @since 0.1.0
 */
export const bearer = (token: Secret): Bearer => ({ _tag: "Bearer", token: redact(token) })

/**
 * A person allows it in a browser, once; afterwards it is renewed by itself for as long as the server lets it. The
 * browser is opened by the `AuthorizationBrowser` and comes back to the `LoopbackListener`; without a browser the error
 * `AuthRequired` says which address to open.
 *
 * @throws TypeError for an impossible option.
 * @since 0.1.0
 */
export const code = (options: CodeOptions = {}): Code => {
  const port = options.redirectPort ?? 0
  const path = options.redirectPath ?? "/callback"
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new TypeError("redirectPort must be a port")
  if (!path.startsWith("/")) throw new TypeError("redirectPath must start with a slash")
  if (options.clientId === undefined && options.clientSecret !== undefined) {
    throw new TypeError("clientSecret needs a clientId")
  }
  const metadataUrl = address("clientMetadataUrl", options.clientMetadataUrl)
  if (metadataUrl !== undefined && (!metadataUrl.startsWith("https:") || new URL(metadataUrl).pathname === "/")) {
    throw new TypeError("clientMetadataUrl must be an https: address with a path")
  }
  return {
    _tag: "Code",
    ...common(options),
    client:
      options.clientId === undefined
        ? undefined
        : clientOf({
            clientId: options.clientId,
            clientSecret: options.clientSecret,
            clientAuthentication: options.clientAuthentication
          }),
    clientMetadataUrl: metadataUrl,
    clientName: options.clientName ?? "scoped-mcp",
    redirectPort: port,
    redirectPath: path,
    consentTimeout: span("consentTimeout", options.consentTimeout, Duration.minutes(5))
  }
}

/**
 * A client that acts for itself and has a secret.
 *
 * @throws TypeError for an impossible option.
 * @since 0.1.0
 */
export const clientCredentials = (options: ClientCredentialsOptions): ClientCredentials => ({
  _tag: "ClientCredentials",
  ...common(options),
  client: clientOf(options)
})

/**
 * A client that acts for itself and proves itself by a key, or by an assertion that somebody else has signed.
 *
 * @throws TypeError for an impossible option.
 * @since 0.1.0
 */
export const privateKeyJwt = (options: PrivateKeyJwtOptions): ClientCredentials => ({
  _tag: "ClientCredentials",
  ...common(options),
  client: {
    id: required("clientId", options.clientId),
    proof:
      "assertion" in options
        ? { _tag: "Assertion", assertion: assertionOf(options.assertion) }
        : { _tag: "PrivateKey", key: redact(options.privateKey), algorithm: required("algorithm", options.algorithm) }
  }
})

/**
 * A workload that shows the token its platform gave it (RFC 7523).
 *
 * @throws TypeError for an impossible option.
 * @since 0.1.0
 */
export const jwtBearer = (options: JwtBearerOptions): JwtBearer => ({
  _tag: "JwtBearer",
  ...common(options),
  client: clientOf(options),
  assertion: assertionOf(options.assertion)
})

/**
 * The identity provider of an enterprise decides: a person's identity token is exchanged for a grant, and that for
 * tokens of the server (cross-app access).
 *
 * @throws TypeError for an impossible option.
 * @since 0.1.0
 */
export const enterpriseManaged = (options: EnterpriseManagedOptions): EnterpriseManaged => {
  const { idp } = options
  return {
    _tag: "EnterpriseManaged",
    ...common(options),
    client: clientOf(options),
    idp: {
      at:
        "issuer" in idp
          ? { issuer: address("idp.issuer", idp.issuer) ?? "" }
          : { tokenEndpoint: address("idp.tokenEndpoint", idp.tokenEndpoint) ?? "" },
      clientId: required("idp.clientId", idp.clientId),
      clientSecret: idp.clientSecret === undefined ? undefined : redact(idp.clientSecret),
      idToken: assertionOf(idp.idToken)
    }
  }
}

/**
 * The secret texts inside, to be scrubbed from whatever leaves the connection.
 *
 * @since 0.1.0
 */
export const secrets = (auth: Authorization): ReadonlyArray<string> => {
  if (auth._tag === "Bearer") return [Redacted.value(auth.token)]
  const given: Array<Assertion | undefined> = []
  const proof = auth.client?.proof
  if (proof?._tag === "Secret") given.push(proof.secret)
  if (proof?._tag === "PrivateKey") given.push(proof.key)
  if (proof?._tag === "Assertion") given.push(proof.assertion)
  if (auth._tag === "JwtBearer") given.push(auth.assertion)
  if (auth._tag === "EnterpriseManaged") given.push(auth.idp.clientSecret, auth.idp.idToken)
  // A key has several lines, and each of them is a secret as well.
  return given.flatMap((it) => (Redacted.isRedacted(it) ? [Redacted.value(it), ...Redacted.value(it).split("\n")] : []))
}
