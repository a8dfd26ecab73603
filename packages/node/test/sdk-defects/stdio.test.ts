/** S1–S8: processes and their pipes. */
import { type Duration, Effect, Fiber, Option } from "effect"
import { alive, timed } from "../system.ts"
import { must, type Row, rows } from "./Row.ts"
import { outcome, stdio } from "./Subject.ts"

const isOverIn = (limit: Duration.Input) => (effect: Effect.Effect<unknown>) =>
  Effect.map(Effect.timeoutOption(effect, limit), Option.isSome)

const MiB = 1024 * 1024

const S1: Row = {
  holds: "S1 no process of the server's tree is alive after a close",
  sdk: "a helper is alive",
  run: Effect.fnUntraced(function* (subject) {
    const it = stdio("helper")
    const client = yield* subject.open(it)
    yield* client.close
    yield* must((yield* alive(it.tag)).length === 0, "a helper is alive")
  })
}

const S2: Row = {
  holds: "S2 a call fails as soon as its process ends, whoever holds the pipes",
  sdk: "it waits for its own limit",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    const { millis } = yield* timed(outcome(client.start("leave", {}, { idle: 3_000 })))
    yield* must(millis < 2_000, "it waits for its own limit")
  })
}

const S3: Row = {
  holds: "S3 a close takes no longer than its limit",
  sdk: "it takes more than twice as long",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio("ignore-end", "ignore-term"), { closeTimeout: "700 millis" })
    yield* must(yield* isOverIn("1500 millis")(client.close), "it takes more than twice as long")
  })
}

const S3twice: Row = {
  holds: "S3 a second close, too, is over only when the process has ended",
  sdk: "it is over, and the process alive",
  run: Effect.fnUntraced(function* (subject) {
    const it = stdio("ignore-end", "ignore-term")
    const client = yield* subject.open(it, { closeTimeout: "700 millis" })
    yield* Effect.forkScoped(client.close, { startImmediately: true })
    yield* client.close
    yield* must((yield* alive(it.tag)).length === 0, "it is over, and the process alive")
  })
}

const S4: Row = {
  holds: "S4 a message that waits for the pipe is given up when the process ends",
  sdk: "it waits for ever",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    const deaf = yield* outcome(client.start("deaf"))
    const sending = yield* Effect.forkScoped(client.send(MiB / 2), { startImmediately: true })
    process.kill(Number(deaf._tag === "Answered" && deaf.text), "SIGKILL")
    yield* must(yield* isOverIn("2 seconds")(Fiber.await(sending)), "it waits for ever")
  })
}

const S5: Row = {
  holds: "S5 what a server does not read is refused before memory fills with it",
  sdk: "twice the limit waits in memory",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio(), { maxMessageBytes: 4 * MiB })
    yield* outcome(client.start("deaf"))
    const text = "x".repeat(MiB - 1024)
    const calls = yield* Effect.forEach(Array.from({ length: 8 }), () => client.start("echo", { text }))
    const refused = Effect.raceAll(calls.map((call) => call.outcome))
    yield* must(yield* isOverIn("1 second")(refused), "twice the limit waits in memory")
  })
}

const S6: Row = {
  holds: "S6 a server may write to stderr as much as it likes",
  sdk: "its answer never comes",
  run: Effect.fnUntraced(function* (subject) {
    // Piped, which is how one keeps it off one's own terminal.
    const client = yield* subject.open(stdio(), { sdk: { stderr: "pipe" } })
    const call = yield* client.start("chatty", { bytes: MiB })
    yield* must(yield* isOverIn("2 seconds")(call.outcome), "its answer never comes")
  })
}

const S7: Row = {
  holds: "S7 an answer over the limit fails its own call and no other",
  sdk: "the next call fails, too",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio(), { maxMessageBytes: 64 * 1024 })
    const big = yield* outcome(client.start("big", { bytes: 65 * 1024 }))
    yield* must(big._tag === "Failed", "it is accepted")
    const next = yield* outcome(client.start("echo", { text: "still here" }))
    yield* must(next._tag === "Answered", "the next call fails, too")
  })
}

const S8: Row = {
  holds: "S8 progress that comes together with its result is delivered before it",
  sdk: "none is delivered",
  run: Effect.fnUntraced(function* (subject) {
    const client = yield* subject.open(stdio())
    const seen: Array<number> = []
    yield* outcome(client.start("steps", {}, { onProgress: (step) => seen.push(step) }))
    yield* must(seen.length > 0, "none is delivered")
    yield* must(seen.join() === "1,2", `${seen.join()} is delivered`)
  })
}

rows(S1, S2, S3, S3twice, S4, S5, S6, S7, S8)
