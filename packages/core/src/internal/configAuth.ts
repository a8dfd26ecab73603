/** How a server is authorised, from its entry in a file: the fields of `Authorization`, told apart by `type`. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Authorization from "../Authorization.ts"
import type { Problem } from "./configProblem.ts"
import * as Fields from "./configSchema.ts"
import { isRecord } from "./frames.ts"

const { boolean, count, oneOf, secretText, span, text } = Fields.kinds

/** A text, or the path of a file that holds it. */
const assertion = {
  assertion: Schema.optionalKey(secretText),
  assertionFile: Schema.optionalKey(text("the path of a file"))
}

const common = {
  scope: Schema.optionalKey(text("scopes, separated by blanks")),
  issuer: Schema.optionalKey(text("the address of an authorisation server")),
  account: Schema.optionalKey(text("a name")),
  dpop: Schema.optionalKey(boolean),
  requestTimeout: Schema.optionalKey(span)
}

const client = {
  clientId: text("the name of the client"),
  clientSecret: Schema.optionalKey(secretText),
  clientAuthentication: Schema.optionalKey(oneOf(["basic", "post"]))
}

const Bearer = Schema.Struct({ type: Schema.Unknown, token: secretText })

const Code = Schema.Struct({
  type: Schema.Unknown,
  ...common,
  ...client,
  clientId: Schema.optionalKey(client.clientId),
  clientMetadataUrl: Schema.optionalKey(text("an https: address")),
  clientName: Schema.optionalKey(text("a name")),
  redirectPort: Schema.optionalKey(count(0)),
  redirectPath: Schema.optionalKey(text("a path")),
  consentTimeout: Schema.optionalKey(span)
})

const ClientCredentials = Schema.Struct({ type: Schema.Unknown, ...common, ...client, clientSecret: secretText })

const PrivateKeyJwt = Schema.Struct({
  type: Schema.Unknown,
  ...common,
  ...assertion,
  clientId: client.clientId,
  privateKey: Schema.optionalKey(secretText),
  algorithm: Schema.optionalKey(text("an algorithm, such as ES256"))
})

const JwtBearer = Schema.Struct({ type: Schema.Unknown, ...common, ...client, ...assertion })

const EnterpriseManaged = Schema.Struct({
  type: Schema.Unknown,
  ...common,
  ...client,
  idp: Schema.Struct({
    issuer: Schema.optionalKey(text("the address of the identity provider")),
    tokenEndpoint: Schema.optionalKey(text("the address of its token endpoint")),
    clientId: client.clientId,
    clientSecret: Schema.optionalKey(secretText),
    idToken: Schema.optionalKey(secretText),
    idTokenFile: Schema.optionalKey(text("the path of a file"))
  })
})

type Made = Result.Result<Authorization.Authorization, ReadonlyArray<Problem>>

/** One of the two. */
const assertionOf = <A>(
  given: A | undefined,
  file: string | undefined,
  name: string
): A | { readonly file: string } => {
  if (given !== undefined && file === undefined) return given
  if (given === undefined && file !== undefined) return { file }
  throw new TypeError(`expected either ${name} or ${name}File`)
}

const kinds: Readonly<Record<string, (input: unknown, path: ReadonlyArray<PropertyKey>) => Made>> = {
  bearer: (input, path) => Result.map(Fields.decode(Bearer, input, path), ({ token }) => Authorization.bearer(token)),
  code: (input, path) => Result.map(Fields.decode(Code, input, path), Authorization.code),
  clientCredentials: (input, path) =>
    Result.map(Fields.decode(ClientCredentials, input, path), Authorization.clientCredentials),
  privateKeyJwt: (input, path) =>
    Result.map(
      Fields.decode(PrivateKeyJwt, input, path),
      ({ algorithm, assertion, assertionFile, privateKey, ...rest }) => {
        if (privateKey === undefined) {
          return Authorization.privateKeyJwt({ ...rest, assertion: assertionOf(assertion, assertionFile, "assertion") })
        }
        if (assertion !== undefined || assertionFile !== undefined) {
          throw new TypeError("expected either privateKey or assertion")
        }
        return Authorization.privateKeyJwt({ ...rest, privateKey, algorithm: algorithm ?? "" })
      }
    ),
  jwtBearer: (input, path) =>
    Result.map(Fields.decode(JwtBearer, input, path), ({ assertion, assertionFile, ...rest }) =>
      Authorization.jwtBearer({ ...rest, assertion: assertionOf(assertion, assertionFile, "assertion") })
    ),
  enterpriseManaged: (input, path) =>
    Result.map(Fields.decode(EnterpriseManaged, input, path), ({ idp, ...rest }) => {
      const { idToken, idTokenFile, issuer, tokenEndpoint, ...client } = idp
      const known = { ...client, idToken: assertionOf(idToken, idTokenFile, "idp.idToken") }
      if (issuer !== undefined && tokenEndpoint === undefined) {
        return Authorization.enterpriseManaged({ ...rest, idp: { ...known, issuer } })
      }
      if (issuer === undefined && tokenEndpoint !== undefined) {
        return Authorization.enterpriseManaged({ ...rest, idp: { ...known, tokenEndpoint } })
      }
      throw new TypeError("expected either idp.issuer or idp.tokenEndpoint")
    })
}

export const make = (input: unknown, path: ReadonlyArray<PropertyKey>): Made => {
  if (!isRecord(input)) return Result.fail([{ path, expected: "expected a map with a type" }])
  const written = input["type"]
  const type = Redacted.isRedacted(written) ? Redacted.value(written) : written
  const kind = typeof type === "string" && Object.hasOwn(kinds, type) ? kinds[type] : undefined
  if (kind === undefined) {
    return Result.fail([{ path: [...path, "type"], expected: `expected ${Object.keys(kinds).join(" or ")}` }])
  }
  return Result.flatMap(
    // What the constructors know of one field and another.
    Result.try({
      try: () => kind(input, path),
      catch: (error) => [{ path, expected: error instanceof Error ? error.message : String(error) }]
    }),
    (made) => made
  )
}
