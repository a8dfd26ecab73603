/**
 * Finds out which era a server speaks, and opens the session in it. Over HTTP the new one is tried first, which costs one
 * request; a process is asked the old way first, because many end at a request they do not know.
 *
 * https://modelcontextprotocol.io/specification/2026-07-28/basic/lifecycle
 */
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  type DiscoverResult,
  PROTOCOL_VERSION_META_KEY
} from "@modelcontextprotocol/client"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { CallEngine } from "../CallEngine.ts"
import {
  type AuthorizationFailed,
  type AuthRequired,
  ConnectionLost,
  McpError,
  type ProtocolError,
  type Reason
} from "../McpError.ts"
import type { Era } from "../ServerConfig.ts"
import type { Wire } from "../Wire.ts"
import type { EraVerdict } from "./EraVerdict.ts"
import { isRecord } from "./frames.ts"
import type * as Host from "./Host.ts"
import * as HttpFault from "./HttpFault.ts"
import * as SdkSession from "./SdkSession.ts"

/** A wire with the engine on it. */
interface Line {
  readonly wire: Wire
  readonly engine: CallEngine
}

export interface Negotiated extends Line, SdkSession.Session {
  readonly era: "legacy" | "modern"
}

/** Why no session was opened: the end of the handshake in words, or that credentials are needed. */
export type Failure = { readonly detail: string } | AuthRequired | AuthorizationFailed

export interface Options<E, R> {
  readonly server: string
  readonly era: Era
  /** What `auto` tries first. */
  readonly first: "legacy" | "modern"
  readonly verdict: EraVerdict["Service"] | undefined
  /** A fresh line; the one before, if there was one, has ended. */
  readonly openLine: Effect.Effect<Line, E, R>
  readonly host: Host.Host
  readonly run: SdkSession.Run
  readonly limit: Duration.Duration
  readonly scrub: (text: string) => string
}

const modernVersion = "2026-07-28"
const unsupportedVersion = -32_022
const invalidRequest = -32_600
const methodNotFound = -32_601
const serverError = -32_000

const isModern = (version: unknown): boolean => typeof version === "string" && version >= modernVersion

const speaksModern = (versions: unknown): boolean => Array.isArray(versions) && versions.some(isModern)

/** What every request of the 2026 era says of us. */
const envelopeOf = (host: Host.Host): Readonly<Record<string, unknown>> => ({
  [PROTOCOL_VERSION_META_KEY]: modernVersion,
  [CLIENT_INFO_META_KEY]: SdkSession.clientInfo,
  [CLIENT_CAPABILITIES_META_KEY]: host.capabilities
})

/** An answer that a server of the 2025 era may give to a question it does not know. */
const speaksOfLegacy = (reason: Reason): reason is ProtocolError => {
  // With `Retry-After` the server has not looked at it.
  if (reason._tag !== "ProtocolError" || reason.delivery === "NotSent") return false
  const supported = isRecord(reason.data) ? reason.data["supported"] : undefined
  return !(reason.code === unsupportedVersion && speaksModern(supported))
}

/** The server refuses the revision we asked in, and then names it among those it speaks. */
const isContradictory = ({ reason }: McpError): boolean => {
  if (reason._tag !== "ProtocolError" || reason.code !== unsupportedVersion || !isRecord(reason.data)) return false
  const { supported } = reason.data
  return Array.isArray(supported) && supported.includes(modernVersion)
}

/** A server that speaks another era refuses with these what it does not know, or what comes before `initialize`. */
const refusals = new Set<number | undefined>([unsupportedVersion, invalidRequest, methodNotFound, serverError])

/**
 * What the first request that was made in an era we only remember says of it. `Disproved`: it was refused unread by a
 * server that speaks another. `Doubtful`: it may have been; but a tool that has run may say the same, its own or another
 * server's words.
 */
const verdictOf = (reason: Reason): "Disproved" | "Doubtful" | undefined => {
  if (reason._tag === "InvalidResult") return "Doubtful"
  if (reason._tag !== "ProtocolError") return undefined
  if (HttpFault.isUnread(reason))
    return reason.code === undefined || refusals.has(reason.code) ? "Disproved" : undefined
  if (reason.code === unsupportedVersion) return "Disproved"
  return refusals.has(reason.code) ? "Doubtful" : undefined
}

const failureOf = (reason: Reason): Failure =>
  reason._tag === "AuthRequired" || reason._tag === "AuthorizationFailed"
    ? reason
    : { detail: "detail" in reason ? reason.detail : reason.message }

const handshakeFailure = ({ auth, detail }: SdkSession.HandshakeFailure): Failure => auth ?? { detail }

export const open = <E, R>(options: Options<E, R>): Effect.Effect<Negotiated, E | Failure, R> => {
  const { era, host, limit, openLine, run, scrub, server, verdict } = options
  const envelope = envelopeOf(host)
  const lost = (detail: string) => new ConnectionLost({ server, detail, stderr: "", delivery: "NotSent" })

  const legacy = (line: Line): Effect.Effect<Negotiated, SdkSession.HandshakeFailure> =>
    Effect.map(SdkSession.open(server, line.wire, host, run, undefined, scrub), (session) => {
      verdict?.set({ era: "legacy" })
      return { ...line, ...session, era: "legacy" }
    })

  /** The line's own limit is that of the whole connect. */
  const limits = { idleTimeout: limit, timeout: limit }

  /** Takes the server's description of itself for the handshake; `remembered` is one that it gave to another connection. */
  const adopt = (line: Line, discover: DiscoverResult, remembered: boolean): Effect.Effect<Negotiated, Failure> =>
    Effect.map(
      Effect.mapError(SdkSession.open(server, line.wire, host, run, discover, scrub), handshakeFailure),
      (session) => {
        const end = () => {
          verdict?.forget()
          // After the request has been told, which the end of the line would do in other words.
          run(Effect.andThen(Effect.yieldNow, line.wire.stop))
        }
        // Other calls may run on the line: it is not ended for what is only a doubt.
        const asked = Effect.matchEffect(line.engine.request("server/discover", {}, limits), {
          onFailure: ({ reason }) =>
            reason._tag === "InvalidResult" || speaksOfLegacy(reason) ? Effect.sync(end) : Effect.void,
          onSuccess: ({ supportedVersions }) => (speaksModern(supportedVersions) ? Effect.void : Effect.sync(end))
        })
        let isAsked = false
        const refused = (reason: Reason): Reason => {
          const found = verdictOf(reason)
          if (found === "Doubtful" && !isAsked) {
            isAsked = true
            run(asked)
          }
          if (found !== "Disproved") return reason
          end()
          return lost("it does not speak the revision any more that it was known for")
        }
        line.engine.speakModern(envelope, remembered ? refused : undefined)
        verdict?.set({ era: "modern", discover })
        return { ...line, ...session, era: "modern" }
      }
    )

  const discover = (line: Line): Effect.Effect<DiscoverResult, McpError> =>
    Effect.tryPromise({
      try: () => line.wire.transport().start(),
      catch: (cause) => new McpError({ reason: lost(scrub(String(cause))) })
    }).pipe(
      Effect.andThen(
        // Asked again with what it named, which is the same; once.
        Effect.retry(line.engine.request("server/discover", { _meta: envelope }, limits), {
          times: 1,
          while: isContradictory
        })
      ),
      Effect.map((result) => result as unknown as DiscoverResult)
    )

  const modern = (line: Line): Effect.Effect<Negotiated, Failure> =>
    Effect.flatMap(
      Effect.mapError(discover(line), ({ reason }) => failureOf(reason)),
      (found) => adopt(line, found, false)
    )

  const modernFirst = (line: Line): Effect.Effect<Negotiated, Failure> =>
    Effect.matchEffect(discover(line), {
      onFailure: ({ reason }) =>
        speaksOfLegacy(reason) ? Effect.mapError(legacy(line), handshakeFailure) : Effect.fail(failureOf(reason)),
      onSuccess: (found) =>
        speaksModern(found.supportedVersions)
          ? adopt(line, found, false)
          : Effect.mapError(legacy(line), handshakeFailure)
    })

  const onFreshLine = Effect.flatMap(openLine, modern)

  const legacyFirst = (line: Line): Effect.Effect<Negotiated, E | Failure, R> =>
    Effect.catch(legacy(line), (failure): Effect.Effect<Negotiated, E | Failure, R> => {
      if (!failure.modernOnly) return Effect.fail(handshakeFailure(failure))
      // It may have ended over the old handshake, or end over it just now.
      if (line.engine.isClosed()) return onFreshLine
      return Effect.catchIf(
        modern(line),
        () => line.engine.isClosed(),
        () => onFreshLine
      )
    })

  const negotiate = (line: Line): Effect.Effect<Negotiated, E | Failure, R> => {
    if (era === "legacy") return Effect.mapError(legacy(line), handshakeFailure)
    if (era === "modern") return modern(line)
    return options.first === "modern" ? modernFirst(line) : legacyFirst(line)
  }

  const remembered = (line: Line): Effect.Effect<Negotiated, E | Failure, R> => {
    const known = verdict?.get()
    if (known === undefined || (era !== "auto" && era !== known.era)) return negotiate(line)
    if (known.era === "modern") return adopt(line, known.discover, true)
    // The old way first is also how a process is asked of which nothing is known.
    if (era === "legacy" || options.first === "legacy") return negotiate(line)
    return Effect.catch(legacy(line), (failure) => {
      verdict?.forget()
      return failure.auth !== undefined || line.engine.isClosed()
        ? Effect.fail(handshakeFailure(failure))
        : modernFirst(line)
    })
  }

  return Effect.flatMap(openLine, remembered)
}
