/**
 * Wire traffic as a readable file without secrets: recorded from a real server, replayed in tests in its place.
 *
 * The file is JSON lines: a header, then a line per frame with its direction, the connection it belongs to, and the time
 * since that connection was opened.
 *
 * @example
 * ```ts
 * import { McpPool, ServerConfig } from "@scoped-mcp/core"
 * import { McpNode } from "@scoped-mcp/node"
 * import { Recording } from "@scoped-mcp/testing"
 * import { Effect } from "effect"
 *
 * const server = ServerConfig.stdio({ command: "npx", args: ["-y", "@modelcontextprotocol/server-everything"] })
 *
 * export const program = Effect.gen(function*() {
 *   const recorder = yield* Recording.recordServer("everything", server)
 *   yield* Effect.gen(function*() {
 *     const pool = yield* McpPool.McpPool
 *     yield* pool.callTool({ server: "everything", tool: "echo", arguments: { message: "hello" } })
 *   }).pipe(Effect.provide(McpPool.layer({ servers: { everything: recorder.source } })))
 *   const recording = yield* recorder.recording
 *   yield* Effect.log(Recording.toText(recording))
 *   return Recording.replay(recording)
 * }).pipe(Effect.provide(McpNode.layer))
 * ```
 *
 * @since 0.1.0
 */
import type { McpError } from "@scoped-mcp/core"
import { HttpDispatcher, McpConnection, ProcessOwner, ServerConfig, ServerSource } from "@scoped-mcp/core"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isRecord, type Message } from "./internal/recordingExchange.ts"
import * as Match from "./internal/recordingMatch.ts"
import * as Replay from "./internal/recordingReplay.ts"
import * as Scrub from "./internal/recordingScrub.ts"
import * as Tap from "./internal/recordingTap.ts"

/**
 * The first line of a file.
 *
 * @since 0.1.0
 */
export const Header = Schema.Struct({
  format: Schema.Literal("scoped-mcp-recording"),
  version: Schema.Literal(1),
  server: Schema.String,
  /** As agreed in the handshake; `unknown` when there was none. */
  protocolVersion: Schema.String,
  recordedAt: Schema.DateTimeUtcFromString,
  /** What was taken out, by which rule, and how often. */
  redactions: Schema.Array(Schema.Struct({ rule: Schema.String, count: Schema.Int }))
})

/**
 * Every other line. `at` is in milliseconds since the connection was opened; connections are counted from 1.
 *
 * @since 0.1.0
 */
export const Frame = Schema.Struct({
  to: Schema.Literals(["server", "client"]),
  connection: Schema.Int,
  at: Schema.Finite,
  frame: Schema.Record(Schema.String, Schema.Json)
})

/** @since 0.1.0 */
export const Recording = Schema.Struct({ header: Header, frames: Schema.Array(Frame) })

/** @since 0.1.0 */
export type Recording = typeof Recording.Type

/**
 * A line of a file is not what it should be.
 *
 * @since 0.1.0
 */
export class RecordingInvalid extends Schema.TaggedError<RecordingInvalid>("@scoped-mcp/testing/RecordingInvalid")(
  "RecordingInvalid",
  {
    /** Counted from 1. */
    line: Schema.Int,
    detail: Schema.String
  }
) {
  override get message() {
    return `Line ${this.line} of the recording is not valid: ${this.detail}`
  }
}

const HeaderLine = Schema.fromJsonString(Header)
const FrameLine = Schema.fromJsonString(Frame)

/**
 * The recording as a file.
 *
 * @since 0.1.0
 */
export const toText = (recording: Recording): string =>
  [
    Schema.encodeSync(HeaderLine)(recording.header),
    ...recording.frames.map((frame) => Schema.encodeSync(FrameLine)(frame))
  ]
    .map((line) => `${line}\n`)
    .join("")

/**
 * The recording in a file.
 *
 * @since 0.1.0
 */
export const fromText = Effect.fnUntraced(function* (text: string): Effect.fn.Return<Recording, RecordingInvalid> {
  const invalid = (line: number) =>
    Effect.mapError(({ message }: Schema.SchemaError) => new RecordingInvalid({ line, detail: message }))
  const [first = "", ...rest] = text.split("\n")
  const header = yield* Schema.decodeUnknownEffect(HeaderLine)(first).pipe(invalid(1))
  const frames = yield* Effect.forEach(
    rest.map((line, index) => ({ line, number: index + 2 })).filter(({ line }) => line.trim() !== ""),
    ({ line, number }) => Schema.decodeUnknownEffect(FrameLine)(line).pipe(invalid(number))
  )
  return { header, frames }
})

/** @since 0.1.0 */
export interface Options {
  /**
   * Taken out of every frame, also URI- and base64-encoded; one of fewer than 6 characters only where it is a whole
   * value. Values of names such as `authorization`, `token` or `password` and `Bearer` credentials always go.
   */
  readonly secrets?: ReadonlyArray<Scrub.Secret> | undefined
}

/** @since 0.1.0 */
export interface Recorder<Source extends ServerSource.ServerSource> {
  /** Stands for the server that is recorded. */
  readonly source: Source
  /** What has passed so far, over all connections of the source. */
  readonly recording: Effect.Effect<Recording>
}

const protocolVersionIn = (frames: ReadonlyArray<typeof Frame.Type>): string => {
  for (const { frame } of frames) {
    const result = frame["result"]
    if (!isRecord(result)) continue
    const [newest] = Array.isArray(result["supportedVersions"]) ? result["supportedVersions"] : []
    const version = result["protocolVersion"] ?? newest
    if (typeof version === "string") return version
  }
  return "unknown"
}

const recorder = Effect.fnUntraced(function* (server: string, secrets: ReadonlyArray<Scrub.Secret>) {
  const scrub = Scrub.make(secrets)
  const recordedAt = yield* DateTime.now
  const frames: Array<typeof Frame.Type> = []
  let connections = 0

  const open: Effect.Effect<Tap.Tap> = Effect.map(Clock.Clock, (clock) => {
    const connection = ++connections
    const opened = clock.currentTimeMillisUnsafe()
    return (direction, message) => {
      const frame = scrub.value(message)
      if (!isRecord(frame)) return
      const to = direction === "ToServer" ? "server" : "client"
      frames.push({ to, connection, at: clock.currentTimeMillisUnsafe() - opened, frame })
    }
  })

  const recording = Effect.sync((): Recording => ({
    header: {
      format: "scoped-mcp-recording",
      version: 1,
      server,
      protocolVersion: protocolVersionIn(frames),
      recordedAt,
      redactions: scrub.applied()
    },
    frames: [...frames]
  }))
  return { open, recording }
})

/**
 * Records a server that is reached over a transport of the MCP SDK.
 *
 * @since 0.1.0
 */
export const record = Effect.fnUntraced(function* (
  source: ServerSource.FromTransport,
  options?: Options
): Effect.fn.Return<Recorder<ServerSource.FromTransport>> {
  const { open, recording } = yield* recorder(source.identity, options?.secrets ?? [])
  const make = Effect.zipWith(open, source.make, (tap, transport) => Tap.transport(transport, tap))
  return { source: { ...source, make }, recording }
})

/**
 * Records a server that is given as data, over its own wire: what passes the standard streams of its process, or the
 * bodies of its HTTP requests and responses. Its configured secrets are taken out as well, and those that it inherits.
 *
 * @since 0.1.0
 */
export const recordServer = Effect.fnUntraced(function* (
  server: string,
  config: ServerConfig.ServerConfig,
  options?: Options
): Effect.fn.Return<Recorder<ServerSource.FromLayer>, never, McpConnection.Platform> {
  const owner = yield* ProcessOwner.ProcessOwner
  const dispatcher = yield* HttpDispatcher.HttpDispatcher
  const added = config._tag === "Stdio" ? owner.added(config.inheritEnv) : {}
  const secrets = [...ServerConfig.secrets(config, added), ...(options?.secrets ?? [])]
  const { open, recording } = yield* recorder(server, secrets)
  const layer = Layer.unwrap(
    Effect.map(open, (tap) =>
      McpConnection.layer(config, { server }).pipe(
        Layer.provide(Layer.succeed(ProcessOwner.ProcessOwner, Tap.processOwner(owner, tap))),
        Layer.provide(Layer.succeed(HttpDispatcher.HttpDispatcher, Tap.httpDispatcher(dispatcher, tap)))
      )
    )
  )
  const source = ServerSource.fromLayer(`recorded ${ServerConfig.target(config)}`, layer)
  return { source: { ...source, limits: config.limits }, recording }
})

/**
 * The program sent a request that was not recorded. It is the `data` of the JSON-RPC error that the request fails with.
 *
 * @since 0.1.0
 */
export class NotRecorded extends Schema.TaggedError<NotRecorded>("@scoped-mcp/testing/NotRecorded")("NotRecorded", {
  /** Method and parameters, shortened. */
  request: Schema.String,
  /** The most similar recorded request, of the same method if there is one. */
  nearest: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const nearest = this.nearest === undefined ? "nothing was recorded" : `the nearest that was is ${this.nearest}`
    return `${this.request} was not recorded; ${nearest}. Record again, or send what was recorded.`
  }
}

/** From the range that JSON-RPC leaves to implementations. */
const notRecordedCode = -32_090

/**
 * Tells whether a call failed because it was not recorded.
 *
 * @since 0.1.0
 */
export const notRecorded = (error: McpError.McpError): Option.Option<NotRecorded> =>
  error.reason._tag === "ProtocolError" && error.reason.code === notRecordedCode
    ? Schema.decodeUnknownOption(NotRecorded)(error.reason.data)
    : Option.none()

/**
 * A server that answers from a recording. A request is matched by method and parameters, without `_meta`; the handshake
 * by its method alone. The same request again gets its next recorded answer, and after the last the last again. Answers,
 * progress and notifications come in the recorded order and after the recorded times, on Effect's clock. Give the
 * secrets of the recording, so that requests that carry them match. The n-th connection replays the n-th recorded one,
 * further ones the last.
 *
 * @since 0.1.0
 */
export const replay = (recording: Recording, options?: Options): ServerSource.FromTransport => {
  const scrub = Scrub.make(options?.secrets ?? [])
  const keyOf = (message: Message) => Match.key(scrub.value(message))
  const refuse = (message: Message, recorded: ReadonlyArray<Message>): Message => {
    const request = scrub.value(message)
    const nearest = Match.nearest(request, recorded)
    const error = new NotRecorded({
      request: Match.show(request),
      ...(nearest === undefined ? {} : { nearest: Match.show(nearest) })
    })
    const data = Schema.encodeSync(NotRecorded)(error)
    return { jsonrpc: "2.0", id: message["id"], error: { code: notRecordedCode, message: error.message, data } }
  }
  const last = Math.max(1, ...recording.frames.map(({ connection }) => connection))
  let opened = 0
  return ServerSource.fromTransport(
    `replay of ${recording.header.server} of ${DateTime.formatIso(recording.header.recordedAt)}`,
    Effect.suspend(() => {
      const connection = Math.min(++opened, last)
      const frames = recording.frames.filter((frame) => frame.connection === connection)
      return Replay.transport({ frames, keyOf, refuse })
    }),
    // Only one of the handshakes was recorded.
    { era: recording.frames.some(({ frame }) => frame["method"] === "initialize") ? "legacy" : "modern" }
  )
}
