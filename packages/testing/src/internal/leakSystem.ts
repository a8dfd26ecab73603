/** The line to the witness, and what of its answers is new since a moment. */
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { isMainThread } from "node:worker_threads"
import * as ProcessMark from "@scoped-mcp/node/ProcessMark"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Detector, Leak } from "./leak.ts"

const Facts = Schema.Struct({
  processes: Schema.Array(Schema.Struct({ pid: Schema.Number, start: Schema.Number })),
  descriptors: Schema.Array(Schema.Struct({ fd: Schema.Number, target: Schema.String }))
})
type Facts = typeof Facts.Type

const Details = Schema.Struct({
  processes: Schema.Array(Schema.Struct({ pid: Schema.Number, command: Schema.String, age: Schema.Number })),
  sockets: Schema.Array(Schema.Struct({ inode: Schema.String, listening: Schema.Boolean, what: Schema.String }))
})

const decodeFacts = Schema.decodeUnknownEffect(Schema.fromJsonString(Facts))
const decodeDetails = Schema.decodeUnknownEffect(Schema.fromJsonString(Details))

interface Witness {
  readonly ask: (question: object) => Promise<string>
}

const script = import.meta.url.endsWith(".ts")
  ? new URL("./leakProbe.ts", import.meta.url)
  : new URL("./leakProbe.js", import.meta.url)

// It must not keep the test process alive, and its descriptors are part of every comparison.
const unreference = (child: ChildProcessByStdio<Writable, Readable, null>) => {
  child.unref()
  for (const stream of [child.stdin, child.stdout]) if ("unref" in stream) (stream as { unref(): void }).unref()
}

const start = (): Witness => {
  const mark = randomUUID()
  // `@scoped-mcp/node` adds its own marks to ours, and hands all of them on to servers with any environment.
  process.env[ProcessMark.variable] = ProcessMark.add(process.env[ProcessMark.variable], mark)
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      fileURLToPath(script),
      // The threads of one process share its processes and descriptors; only the mark tells which are this thread's.
      String(isMainThread ? process.pid : 0),
      mark,
      ProcessMark.variable
    ],
    { stdio: ["pipe", "pipe", "inherit"], env: {} }
  )
  unreference(child)
  const waiting: Array<PromiseWithResolvers<string>> = []
  let dead: Error | undefined
  const end = (error: Error) => {
    dead = error
    for (const question of waiting.splice(0)) question.reject(error)
  }
  child.once("error", end)
  child.once("exit", (code, signal) => end(new Error(`The leak check's witness ended (${signal ?? code})`)))
  child.stdin.on("error", end)
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.resolve(line))
  return {
    ask: (question) => {
      if (dead !== undefined) return Promise.reject(dead)
      const answered = Promise.withResolvers<string>()
      waiting.push(answered)
      child.stdin.write(`${JSON.stringify(question)}\n`)
      return answered.promise
    }
  }
}

let witness: Witness | undefined

/** Starts the witness; without it the first question does. */
export const prepare = (): void => {
  if (process.platform === "linux") witness ??= start()
}

// A witness that cannot be heard proves nothing: that is a defect of the test run, not a finding.
const ask = (question: object) =>
  Effect.orDie(
    Effect.tryPromise(() => {
      witness ??= start()
      // Nothing else may be left that keeps the process alive while it waits for the answer.
      const keepAlive = setInterval(() => {}, 60_000)
      return witness.ask(question).finally(() => clearInterval(keepAlive))
    })
  )

const none: Facts = { processes: [], descriptors: [] }

const facts: Effect.Effect<Facts> =
  process.platform === "linux" ? Effect.orDie(Effect.flatMap(ask({}), decodeFacts)) : Effect.succeed(none)

const socketInode = (target: string) => /^socket:\[(\d+)\]$/.exec(target)?.[1]

/** libuv opens it at the first `fs.watch` and keeps it as long as the event loop lives. */
const isLoopsOwn = (target: string) => target === "anon_inode:inotify"

const added = (before: Facts, now: Facts): Facts => {
  const processes = new Set(before.processes.map(({ pid, start }) => `${pid}@${start}`))
  // A descriptor is the same when its target is: which number it has does not matter.
  const targets = Map.groupBy(before.descriptors, ({ target }) => target)
  const numbers = new Set(before.descriptors.map(({ fd, target }) => `${fd} ${target}`))
  const surplus = [...Map.groupBy(now.descriptors, ({ target }) => target)].flatMap(([target, open]) => {
    const known = targets.get(target)?.length ?? 0
    const expected = known === 0 && isLoopsOwn(target) ? 1 : known
    const isNew = ({ fd }: { readonly fd: number }) => (numbers.has(`${fd} ${target}`) ? 0 : 1)
    return [...open].sort((a, b) => isNew(a) - isNew(b)).slice(expected)
  })
  return {
    processes: now.processes.filter(({ pid, start }) => !processes.has(`${pid}@${start}`)),
    descriptors: surplus
  }
}

const describe = Effect.fnUntraced(function* ({ descriptors, processes }: Facts, begun: number) {
  const inodes = descriptors.flatMap(({ target }) => socketInode(target) ?? [])
  const details = yield* Effect.orDie(
    Effect.flatMap(ask({ pids: processes.map(({ pid }) => pid), inodes }), decodeDetails)
  )
  const sockets = new Map(details.sockets.map((socket) => [socket.inode, socket]))
  const age = Duration.millis(Math.round(performance.now() - begun))
  return [
    ...details.processes.map(({ age, command, pid }): Leak => ({
      kind: "Process",
      what: `${pid} ${command}`,
      pid,
      age: Duration.millis(age)
    })),
    ...descriptors.map(({ fd, target }): Leak => {
      const inode = socketInode(target)
      if (inode === undefined) return { kind: "FileDescriptor", what: `${fd} → ${target}`, age }
      const socket = sockets.get(inode)
      const kind = socket?.listening === true ? "ListeningPort" : "Socket"
      return { kind, what: `${fd} → ${socket?.what ?? target}`, age }
    })
  ]
})

export const system: Detector = Effect.map(facts, (before) => {
  const begun = performance.now()
  return Effect.flatMap(facts, (now) => {
    const found = added(before, now)
    return found.processes.length + found.descriptors.length === 0 ? Effect.succeed([]) : describe(found, begun)
  })
})
