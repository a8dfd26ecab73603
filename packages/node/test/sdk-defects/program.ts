/**
 * A program with a connection, to be run as a process of its own: what matters is what it prints, and whether it lives to
 * its end. `node program.ts <name> <sdk|ours>`
 */
import type { Transport } from "@modelcontextprotocol/client"
import { Effect } from "effect"
import { outcome, stdio, type Subject } from "./Subject.ts"

const fails = () => Promise.reject(new Error("the transport is broken"))
const broken: Transport = { start: () => Promise.resolve(), send: fails, close: fails }

const programs = {
  "a server that writes to stderr": Effect.fnUntraced(function* (subject: Subject) {
    const client = yield* subject.open(stdio())
    yield* outcome(client.start("chatty", { bytes: 10 }))
  }),
  "a list that is not offered": Effect.fnUntraced(function* (subject: Subject) {
    const client = yield* subject.open(stdio("plain"))
    yield* client.tools
  }),
  "a transport that fails to close": (subject: Subject) =>
    Effect.ignore(subject.open({ _tag: "Transport", make: () => broken })),
  "a listener that throws": Effect.fnUntraced(function* (subject: Subject) {
    const onToolsChanged = () => {
      throw new Error("the listener is broken")
    }
    const client = yield* subject.open(stdio(), { onToolsChanged })
    yield* outcome(client.start("change"))
    // The SDK gathers such notices for 300 milliseconds.
    yield* outcome(client.start("slow", { millis: 800 }))
  })
}

export type Name = keyof typeof programs

if (import.meta.main) {
  const [, , name, subject] = process.argv
  // Not both: what is loaded is most of the time that it takes.
  const client = subject === "sdk" ? (await import("./sdk.ts")).sdk : (await import("./ours.ts")).ours
  await Effect.runPromise(Effect.scoped(programs[name as Name](client)))
}
