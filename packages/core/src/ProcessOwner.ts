/**
 * Owns operating-system processes: starts one in a group of its own and ends it, with everything it started, when its
 * scope closes. A service of the platform; `@scoped-mcp/node` provides it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { InheritEnv } from "./ServerConfig.ts"

/**
 * The program could not be started at all.
 *
 * @since 0.1.0
 */
export class SpawnFailed extends Schema.TaggedError<SpawnFailed>("@scoped-mcp/core/SpawnFailed")("SpawnFailed", {
  command: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** @since 0.1.0 */
export interface ProcessCommand {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly inheritEnv: InheritEnv
  readonly cwd: string | undefined
  /**
   * Longest time from the start of the stop to the end of the last process: 30 % after the end of input, 30 % after
   * TERM, the rest after KILL.
   */
  readonly stopTimeout: Duration.Duration
}

/**
 * How a process ended: its exit code, or the signal that ended it.
 *
 * @since 0.1.0
 */
export interface ProcessExit {
  readonly code: number | undefined
  readonly signal: string | undefined
}

/**
 * Receives what a process does. Called synchronously and in order, without a fibre per chunk.
 *
 * @since 0.1.0
 */
export interface ProcessListener {
  readonly onStdout: (chunk: Uint8Array) => void
  readonly onStderr: (chunk: Uint8Array) => void
  /** The standard input takes more, after `write` has answered false. */
  readonly onDrain: () => void
  /** The process itself has ended and what it wrote before has been delivered; its helpers may live on. Called once. */
  readonly onExit: (exit: ProcessExit) => void
}

/**
 * The last step it took to end everything: `Exited` (it was gone already), `EndOfInput`, `Terminate`, `Kill`.
 * `Survived` means that something could not be ended within the limit.
 *
 * @since 0.1.0
 */
export type StopStep = "Exited" | "EndOfInput" | "Terminate" | "Kill" | "Survived"

/** @since 0.1.0 */
export interface OwnedProcess {
  readonly pid: number
  /**
   * Hands text to the standard input. False: it was taken, but nothing more should be written before `onDrain`. What is
   * written in one turn of the event loop goes out as one piece.
   */
  readonly write: (text: string) => boolean
  /** Ends the whole tree; does it once, however often it is run, and tells what it took. Runs by itself when the scope closes. */
  readonly stop: Effect.Effect<StopStep>
}

/** @since 0.1.0 */
export class ProcessOwner extends Context.Service<
  ProcessOwner,
  {
    readonly spawn: (
      command: ProcessCommand,
      listener: ProcessListener
    ) => Effect.Effect<OwnedProcess, SpawnFailed, Scope.Scope>
    /**
     * The variables of our own environment that the policy lets a server see, besides the few that every program needs.
     * There may be secrets among them.
     */
    readonly added: (policy: InheritEnv) => Readonly<Record<string, string>>
    /** Kills all that has been started and has not ended, at once and without waiting: for exits that cannot wait. */
    readonly killAll: () => void
  }
>()("@scoped-mcp/core/ProcessOwner") {}
