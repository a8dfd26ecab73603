/**
 * What the rows ask of a client of MCP servers. The plain SDK and ours answer to the same interface, so that one function
 * can ask both whether something holds.
 */
import { fileURLToPath } from "node:url"
import type { ClientOptions, Tool, Transport } from "@modelcontextprotocol/client"
import type { StdioServerParameters } from "@modelcontextprotocol/client/stdio"
import type { Limits } from "@scoped-mcp/core"
import { Data, Effect, type Scope } from "effect"
import { makeTag } from "../system.ts"

/** Where a server is. What a process has started is found by the tag, which all of it inherits. */
export type Server =
  | { readonly _tag: "Stdio"; readonly manners: ReadonlyArray<string>; readonly tag: string }
  | { readonly _tag: "Http"; readonly url: URL }
  | { readonly _tag: "Transport"; readonly make: () => Transport }

type Stdio = Extract<Server, { readonly _tag: "Stdio" }>

/** A process that runs `server.mjs`. */
export const stdio = (...manners: ReadonlyArray<string>): Stdio => ({ _tag: "Stdio", manners, tag: makeTag() })

export const commandOf = ({ manners, tag }: Stdio) => ({
  command: process.execPath,
  args: [fileURLToPath(new URL("server.mjs", import.meta.url)), ...manners],
  env: { TAG: tag }
})

/** Who may get tokens: the client, with a secret, or a person, who agrees to everything. */
export type Auth =
  | { readonly _tag: "Client"; readonly id: string; readonly secret: string; readonly issuer: string }
  | { readonly _tag: "Person" }

export interface Options {
  /** The SDK knows none. */
  readonly closeTimeout?: Limits.Span
  /** The SDK knows one for processes. */
  readonly maxMessageBytes?: number
  readonly onToolsChanged?: () => void
  readonly auth?: Auth
  /** Called when the server asks a person. */
  readonly onQuestion?: () => Promise<never>
  /** What only the SDK has to be told. */
  readonly sdk?: {
    readonly client?: ClientOptions
    readonly stderr?: StdioServerParameters["stderr"]
    /** Closing ends the HTTP session first, as the SDK's documentation has it. */
    readonly endsSession?: boolean
  }
}

export interface CallOptions {
  /** Longest silence, in milliseconds. */
  readonly idle?: number
  /** Longest time, whatever the progress. */
  readonly total?: number
  readonly onProgress?: (progress: number) => void
}

/** How a call ended, as far as its caller can tell. */
export type Outcome =
  | { readonly _tag: "Answered"; readonly text: string }
  | { readonly _tag: "Failed"; readonly kind: string; readonly message: string }

export interface Running {
  readonly outcome: Effect.Effect<Outcome>
  /** The caller leaves. */
  readonly cancel: Effect.Effect<void>
}

export const outcome = <E, R>(call: Effect.Effect<Running, E, R>) => Effect.flatMap(call, ({ outcome }) => outcome)

interface Client {
  readonly start: (tool: string, args?: Record<string, unknown>, options?: CallOptions) => Effect.Effect<Running>
  /** Hands over a message of this size that nobody need answer; over when that is done, or cannot be done any more. */
  readonly send: (bytes: number) => Effect.Effect<void>
  readonly tools: Effect.Effect<ReadonlyArray<Tool>, Refused>
  /** Whether it has been told that the connection is over. */
  readonly hasEnded: () => boolean
  readonly close: Effect.Effect<void>
}

/** A connection could not be opened, or a list not be read. */
export class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

export interface Subject {
  readonly name: "sdk" | "ours"
  /** Opens a connection, which closes with the scope. */
  readonly open: (server: Server, options?: Options) => Effect.Effect<Client, Refused, Scope.Scope>
}
