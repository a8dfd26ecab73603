/**
 * The wire to a server that is our child process: one JSON message per line.
 *
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
 */
import type { JSONRPCMessage } from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { ConnectionLost } from "../McpError.ts"
import { type ProcessExit, ProcessOwner, type SpawnFailed } from "../ProcessOwner.ts"
import * as ServerConfig from "../ServerConfig.ts"
import { cancelled, type Wire } from "../Wire.ts"
import { decode } from "./bytes.ts"
import { answeredAtStart, parseFrame } from "./frames.ts"
import * as LineEnd from "./LineEnd.ts"
import * as LineFramer from "./LineFramer.ts"
import * as Noise from "./Noise.ts"
import * as Oversize from "./Oversize.ts"
import * as Redaction from "./redaction.ts"
import * as SdkFaces from "./SdkFaces.ts"
import * as StderrTail from "./StderrTail.ts"

interface Queued {
  readonly body: string
  readonly handed: (is: true) => void
  readonly dropped: () => void
}

export const make = Effect.fnUntraced(function* (
  server: string,
  config: ServerConfig.Stdio
): Effect.fn.Return<Wire, SpawnFailed, ProcessOwner | Scope.Scope> {
  const owner = yield* ProcessOwner
  const scrub = Redaction.make(ServerConfig.secrets(config, owner.added(config.inheritEnv)))
  const stderr = StderrTail.make()
  const noise = Noise.make(scrub)
  let exit: ProcessExit | undefined
  let full = false
  let queuedSize = 0
  const queue = new Set<Queued>()

  const line = LineEnd.make(
    (detail, delivery) =>
      new ConnectionLost({
        server,
        detail,
        exitCode: exit?.code,
        signal: exit?.signal,
        stderr: scrub(stderr.text(10)),
        delivery
      })
  )

  const end = (detail: string) => {
    if (!line.end(detail)) return
    for (const queued of queue) queued.dropped()
    queue.clear()
    faces.closed()
  }

  const onLine = (bytes: Uint8Array) => {
    const text = decode(bytes)
    const frame = parseFrame(text)
    if (frame === undefined) {
      noise.heard(text)
      // An answer that is cut short or garbled fails its call now, and not when its time is over: to the engine it is one
      // without content. What only speaks of a request, as a log may do, begins differently.
      const id = answeredAtStart(text)
      if (id !== undefined) line.receiver().onFrame({ jsonrpc: "2.0", id })
    } else if (!line.receiver().onFrame(frame)) {
      faces.deliver(frame as unknown as JSONRPCMessage)
    }
  }

  const oversize = Oversize.make(
    (id) => line.receiver().onTooLarge(id),
    () => end(`it sent a message over ${config.limits.maxMessageBytes} bytes that answers no known request`)
  )

  const push = LineFramer.make(config.limits.maxMessageBytes, {
    onLine,
    onOversize: (head) => oversize.onOversize(decode(head)),
    onOversizeEnd: (tail) => oversize.onOversizeEnd(decode(tail)),
    onEndless: () => end("it sends a line without end")
  })

  const faces = SdkFaces.make(() => ({
    start: () => Promise.resolve(),
    send: (message) =>
      new Promise((resolve, reject) => {
        const dropped = () => reject(new Error("the connection is closed"))
        if (line.isClosed()) dropped()
        else send({ body: `${JSON.stringify(message)}\n`, handed: () => resolve(), dropped })
      }),
    // By these two the SDK knows a server that is a process.
    pid: child.pid,
    stderr: null
  }))

  const child = yield* owner.spawn(
    {
      command: config.command,
      args: config.args.map((arg) => (typeof arg === "string" ? arg : Redacted.value(arg))),
      env: Object.fromEntries(Object.entries(config.env).map(([name, value]) => [name, Redacted.value(value)])),
      inheritEnv: config.inheritEnv,
      cwd: config.cwd,
      stopTimeout: config.limits.closeTimeout
    },
    {
      onStdout: push,
      onStderr: stderr.push,
      onDrain: () => {
        full = false
        for (const queued of queue) {
          if (full) return
          unqueue(queued)
          write(queued)
        }
      },
      onExit: (ended) => {
        exit = ended
        end("its process ended")
      }
    }
  )

  const write = (queued: Queued) => {
    full = !child.write(queued.body)
    queued.handed(true)
  }

  const send = (queued: Queued) => {
    if (!full) return write(queued)
    queue.add(queued)
    queuedSize += queued.body.length
    if (queuedSize > config.limits.maxMessageBytes) end("it does not read what it is sent")
  }

  const unqueue = (queued: Queued): boolean => {
    if (!queue.delete(queued)) return false
    queuedSize -= queued.body.length
    return true
  }

  const post: Wire["post"] = (frame, body, listener) => {
    const queued: Queued = { body: `${body}\n`, handed: listener.onHanded, dropped: () => {} }
    send(queued)
    return (why: string) => {
      if (unqueue(queued) || line.isClosed()) return
      send({
        body: `${JSON.stringify(cancelled(frame.id, why, frame.params["_meta"]))}\n`,
        handed: () => {},
        dropped: () => {}
      })
    }
  }

  const stop = Effect.suspend(() => {
    end("it was closed by us")
    return child.stop
  })
  yield* Effect.addFinalizer(() => stop)

  return {
    transport: faces.next,
    post,
    listen: line.listen,
    closed: line.closed,
    diagnostics: () => ({
      pid: child.pid,
      sessionId: undefined,
      stream: undefined,
      stderr: scrub(stderr.text(10)),
      noiseCount: noise.count(),
      noise: noise.first,
      exitCode: exit?.code,
      signal: exit?.signal
    }),
    stop
  }
})
