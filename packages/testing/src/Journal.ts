/**
 * What a server has seen and done, in its own words: every frame, every session, every run of a tool. The far side
 * counts, so a test need not believe the books of the client it tests.
 *
 * @since 0.1.0
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { live } from "./internal/clock.ts"
import type { Frame } from "./internal/frames.ts"

const session = Schema.String
const frame = Schema.Record(Schema.String, Schema.Unknown)
const requestId = Schema.Union([Schema.String, Schema.Finite])
const execution = { session, tool: Schema.String, requestId, idempotencyId: Schema.String }

/**
 * A fact without its time.
 *
 * - `ProcessStarted`, `ProcessEnded`, `HelperStarted`: processes, by number. A process that is killed writes no end.
 * - `SessionOpened`, `SessionEnded`: from the handshake to the end of the line, and why it ended.
 * - `FrameReceived`, `FrameSent`, `TextSent`: what crossed the line; `TextSent` is what is no whole frame.
 * - `RequestCancelled`: the client has said that nobody waits for the answer.
 * - `ToolStarted`, `ToolEnded`: one run of a tool's handler.
 * - `HttpRefused`: an HTTP request that no session saw, with the status of the answer.
 * - `FaultStruck`: a declared fault did something. `ScriptFailed`: a script met another frame than it expected.
 *
 * @since 0.1.0
 */
export const Fact = Schema.Union([
  Schema.TaggedStruct("ProcessStarted", { pid: Schema.Finite }),
  Schema.TaggedStruct("ProcessEnded", { pid: Schema.Finite, why: Schema.String }),
  Schema.TaggedStruct("HelperStarted", { pid: Schema.Finite, how: Schema.String }),
  Schema.TaggedStruct("SessionOpened", { session, era: Schema.Literals(["2025", "2026"]) }),
  Schema.TaggedStruct("SessionEnded", { session, why: Schema.String }),
  Schema.TaggedStruct("FrameReceived", { session, frame }),
  Schema.TaggedStruct("FrameSent", { session, frame }),
  Schema.TaggedStruct("TextSent", { session, text: Schema.String }),
  Schema.TaggedStruct("RequestCancelled", { session, requestId }),
  Schema.TaggedStruct("ToolStarted", execution),
  Schema.TaggedStruct("ToolEnded", { ...execution, outcome: Schema.Literals(["Answered", "Failed", "Interrupted"]) }),
  Schema.TaggedStruct("HttpRefused", { method: Schema.String, status: Schema.Finite }),
  Schema.TaggedStruct("FaultStruck", { session, fault: Schema.String }),
  Schema.TaggedStruct("ScriptFailed", { session, detail: Schema.String })
])

/** @since 0.1.0 */
export type Fact = typeof Fact.Type

/**
 * A fact and the milliseconds of the server's clock at which it was written.
 *
 * @since 0.1.0
 */
export type Entry = Fact & { readonly at: number }

/** @since 0.1.0 */
export interface Journal {
  /** Everything so far, in order. */
  readonly entries: Effect.Effect<ReadonlyArray<Entry>>
  /**
   * Waits for the first fact, past or future, that the predicate accepts. On a file it looks every 10 milliseconds of
   * real time, and dies after 30 seconds.
   */
  readonly first: (is: (entry: Entry) => boolean) => Effect.Effect<Entry>
}

/**
 * A journal that can be written to.
 *
 * @since 0.1.0
 */
export interface Recorder extends Journal {
  readonly record: (fact: Fact) => Effect.Effect<void>
}

/**
 * A journal in memory.
 *
 * @since 0.1.0
 */
export const makeUnsafe = (): Recorder => {
  const entries: Array<Entry> = []
  const waiting = new Set<(entry: Entry) => void>()
  return {
    entries: Effect.sync(() => [...entries]),
    first: (is) =>
      Effect.callback((resume) => {
        const known = entries.find(is)
        if (known !== undefined) return resume(Effect.succeed(known))
        const waiter = (entry: Entry) => {
          if (!is(entry)) return
          waiting.delete(waiter)
          resume(Effect.succeed(entry))
        }
        waiting.add(waiter)
        return Effect.sync(() => waiting.delete(waiter))
      }),
    record: (fact) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        const entry = { ...fact, at }
        entries.push(entry)
        for (const waiter of waiting) waiter(entry)
      })
  }
}

const decodeLine = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Unknown))
const isFact = Schema.is(Fact)
const isTimed = Schema.is(Schema.Struct({ at: Schema.Finite }))

const readLines = (path: string): ReadonlyArray<Entry> => {
  // The last piece is what has no line end yet: nothing, or a line that is still being written.
  const lines = readFileSync(path, { encoding: "utf8", flag: "a+" }).split("\n").slice(0, -1)
  return lines.map((line) => {
    const entry = decodeLine(line)
    if (!isFact(entry) || !isTimed(entry)) throw new Error(`${path} has a line that is no fact: ${line.slice(0, 200)}`)
    return entry
  })
}

const look = Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(3000)])

/**
 * The journal that a server process writes to a file, one JSON text per line. Several processes may write to the same
 * file, one after the other.
 *
 * @since 0.1.0
 */
export const fromFile = (path: string): Journal => {
  const entries = Effect.sync(() => readLines(path))
  return {
    entries,
    first: (is) =>
      Effect.map(entries, (all) => all.find(is)).pipe(
        Effect.repeat({ schedule: look, until: (entry) => entry !== undefined }),
        Effect.flatMap((entry) =>
          entry === undefined
            ? Effect.die(new Error(`${path} has no such fact after 30 seconds`))
            : Effect.succeed(entry)
        ),
        // The server is a real process, whatever clock the test has.
        Effect.provideService(Clock.Clock, live)
      )
  }
}

/**
 * A journal in a file of its own, which is removed with the scope.
 *
 * @since 0.1.0
 */
export const temporary: Effect.Effect<{ readonly path: string; readonly journal: Journal }, never, Scope.Scope> =
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-journal-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    ),
    (folder) => {
      const path = join(folder, "journal.jsonl")
      return { path, journal: fromFile(path) }
    }
  )

/**
 * How often a tool's handler was run, or all tools' together.
 *
 * @since 0.1.0
 */
export const executions = (entries: ReadonlyArray<Entry>, tool?: string): number =>
  entries.filter((entry) => entry._tag === "ToolStarted" && (tool === undefined || entry.tool === tool)).length

/**
 * The runs of tools that happened more than once, by tool and idempotency id. Empty is the proof that nothing was
 * replayed, as long as the test gives each call arguments of its own.
 *
 * @since 0.1.0
 */
export const repeated = (
  entries: ReadonlyArray<Entry>
): ReadonlyArray<{ readonly tool: string; readonly idempotencyId: string; readonly count: number }> => {
  const runs = entries.filter((entry) => entry._tag === "ToolStarted")
  return [...Map.groupBy(runs, (run) => JSON.stringify([run.tool, run.idempotencyId])).values()].flatMap((same) =>
    same.length > 1 ? [{ tool: same[0]!.tool, idempotencyId: same[0]!.idempotencyId, count: same.length }] : []
  )
}

/**
 * The frames that came, of one method or all of them.
 *
 * @since 0.1.0
 */
export const received = (entries: ReadonlyArray<Entry>, method?: string): ReadonlyArray<Frame> =>
  entries.flatMap((entry) =>
    entry._tag === "FrameReceived" && (method === undefined || entry.frame["method"] === method) ? [entry.frame] : []
  )

/**
 * The sessions that were opened and have not ended.
 *
 * @since 0.1.0
 */
export const openSessions = (entries: ReadonlyArray<Entry>): ReadonlyArray<string> => {
  const ended = new Set(entries.flatMap((entry) => (entry._tag === "SessionEnded" ? [entry.session] : [])))
  return entries.flatMap((entry) =>
    entry._tag === "SessionOpened" && !ended.has(entry.session) ? [entry.session] : []
  )
}

/**
 * Every process that was started: the servers, and the helpers that they forked.
 *
 * @since 0.1.0
 */
export const pids = (entries: ReadonlyArray<Entry>): ReadonlyArray<number> =>
  entries.flatMap((entry) => (entry._tag === "ProcessStarted" || entry._tag === "HelperStarted" ? [entry.pid] : []))
