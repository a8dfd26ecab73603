/** How soon calls settle that meet trouble, and whether the connection is still of use. */
import { McpConnection, McpError, ServerConfig } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Duration, Effect, Fiber, Scope } from "effect"
import { alive, eventually, fixture, makeTag, spawn, timed } from "../system.ts"
import { type Figure, millis, none } from "./Figure.ts"

const stdio = (manners: ReadonlyArray<string>, tag = makeTag(), limits = {}) =>
  ServerConfig.stdio({
    command: process.execPath,
    args: [fixture("server.mjs"), ...manners],
    env: { TAG: tag },
    connectTimeout: "40 seconds",
    ...limits
  })

/** `fixtures/http.mjs` as a process of the scope. */
export const http = Effect.fnUntraced(function* (answers: "json" | "sse") {
  const server = yield* spawn({
    command: process.execPath,
    args: [fixture("http.mjs"), "0", answers],
    env: {},
    inheritEnv: "minimal",
    cwd: undefined,
    stopTimeout: Duration.seconds(2)
  })
  yield* server.heard(`"port"`)
  const port = /"port":(\d+)/.exec(server.stdout.join(""))![1]
  return { server, config: ServerConfig.http({ url: `http://127.0.0.1:${port}/mcp` }) }
})

/** How many of these do not hold. */
const wrong = (...facts: ReadonlyArray<boolean>): number => facts.filter((fact) => !fact).length

const echo = (connection: McpConnection.Connection) =>
  Effect.map(connection.callTool({ tool: "echo", arguments: { text: "after" } }), ({ text }) => text === "after").pipe(
    Effect.orElseSucceed(() => false)
  )

/** The connect fails at its deadline, and the tree is gone within the close limit after that. */
const mute = Effect.gen(function* () {
  const tag = makeTag()
  const source = stdio(["mute", "ignore-end", "ignore-term"], tag, { connectTimeout: "1 second" })
  const scope = yield* Scope.make()
  const since = performance.now()
  const error = yield* Effect.flip(Scope.provide(McpConnection.make("mute", source), scope))
  const failed = performance.now()
  const known = yield* alive(tag)
  yield* Scope.close(scope, yield* Effect.exit(error))
  yield* eventually(alive(tag, known), (seen) => seen.length === 0)
  const { reason } = error
  return [
    millis("error after the deadline of a handshake never answered", failed - since - 1_000, 500),
    millis("tree of that server gone after the error", performance.now() - failed, 5_000),
    none(
      "of its server and phase unnamed in that error",
      wrong(reason._tag === "ConnectFailed", reason.server === "mute")
    )
  ]
})

const crash = Effect.gen(function* () {
  const connection = yield* McpConnection.make("crash", stdio(["ignore-end"]))
  const { millis: took, value } = yield* timed(Effect.flip(connection.callTool({ tool: "drop" })))
  const other = yield* McpConnection.make("killed", stdio([]))
  const { pid } = yield* other.diagnostics
  const running = yield* Effect.forkChild(Effect.flip(other.callTool({ tool: "hang" })))
  yield* eventually(other.diagnostics, ({ pending }) => pending === 1)
  process.kill(pid!, "SIGKILL")
  const killed = yield* timed(Fiber.join(running))
  const [first, second] = [value.reason, killed.value.reason]
  return [
    millis("error of a call whose server crashes", took, 1_000),
    millis("error of a call whose server is killed", killed.millis, 1_000),
    none(
      "of exit code, signal and last lines missing there",
      wrong(
        first._tag === "ConnectionLost" && first.exitCode === 9 && first.stderr.includes("started"),
        second._tag === "ConnectionLost" && second.signal === "SIGKILL" && second.stderr.includes("started")
      )
    )
  ]
})

const rounds = 10

/** Calls that time out or are interrupted: when they settle, what the server hears of it, and what comes after. */
const given = Effect.fnUntraced(function* (over: string, source: ServerConfig.ServerConfig) {
  const connection = yield* McpConnection.make(over, source)
  const hang = (name: string, timeout?: "200 millis") =>
    Effect.exit(connection.callTool({ tool: "hang", arguments: { name }, timeout }))
  yield* echo(connection)
  const figures: Array<Figure> = []
  for (let round = 0; round < rounds; round++) {
    const late = yield* timed(hang(`late${round}`, "200 millis"))
    figures.push(millis(`timeout of a call settles after its deadline (${over})`, late.millis - 200, 250))
    const fiber = yield* Effect.forkChild(hang(`left${round}`))
    yield* eventually(connection.diagnostics, ({ pending }) => pending === 1)
    const left = yield* timed(Fiber.interrupt(fiber))
    figures.push(millis(`interruption of a call settles (${over})`, left.millis, 100))
  }
  const untold = Effect.map(connection.callTool({ tool: "notices" }), ({ text }) => 2 * rounds - Number(text))
  const missing = yield* eventually(untold, (count) => count === 0, "2 seconds").pipe(Effect.catchDefect(() => untold))
  figures.push(none(`calls given up that the server was not told of (${over})`, missing))
  figures.push(none(`connection of no use after that (${over})`, wrong(yield* echo(connection))))
  return figures
})

/** From the moment the answer has gone wrong to the error. The server answers at once, so that is the call's whole time. */
const answers = Effect.fnUntraced(function* (over: string, source: ServerConfig.ServerConfig) {
  const figures: Array<Figure> = []
  for (const [what, tool] of [
    ["malformed", "broken"],
    ["cut", "cut"],
    ["reset", "drop"],
    ["wrongly typed", "wrong"]
  ] as const) {
    const connection = yield* McpConnection.make(over, source)
    yield* echo(connection)
    const { millis: took, value } = yield* timed(Effect.exit(connection.callTool({ tool, timeout: "5 seconds" })))
    const error = value._tag === "Failure" ? value.cause.reasons[0] : undefined
    const typed = error?._tag === "Fail" && error.error instanceof McpError.McpError
    figures.push(millis(`error of an answer that is ${what} (${over})`, took, 1_000))
    figures.push(none(`untyped errors of wrong answers (${over})`, wrong(typed)))
  }
  return figures
}, Effect.scoped)

const noise = Effect.gen(function* () {
  const connection = yield* McpConnection.make("noise", stdio(["noise"]))
  const before = yield* connection.diagnostics
  yield* echo(connection)
  for (let line = 0; line < 50; line++) {
    yield* connection.callTool({ tool: "noise", arguments: { line: `{"level":"info","line":${line}}` } })
    yield* connection.callTool({ tool: "confuse" })
  }
  // What was sent before this answer has been read with it.
  const usable = yield* echo(connection)
  const after = yield* connection.diagnostics
  const what = (fact: string) => `${fact} (noise, unknown, repeated and late ids)`
  return [
    none(what("connection lost"), wrong(usable)),
    none(what("lines miscounted"), Math.abs(after.noiseCount - before.noiseCount - 50)),
    // Of each `confuse`: the second answer to it, one to the call before, and one to nobody.
    none(what("answers miscounted"), Math.abs(after.strays - before.strays - 150)),
    none(what("first lines not kept"), 5 - after.noise.length + wrong(after.noise[0] === "Server is starting"))
  ]
})

export const calls = Effect.gen(function* () {
  const figures: Array<Figure> = []
  figures.push(...(yield* mute), ...(yield* Effect.scoped(crash)), ...(yield* Effect.scoped(noise)))
  figures.push(...(yield* Effect.scoped(given("stdio", stdio([])))), ...(yield* answers("stdio", stdio([]))))
  for (const kind of ["json", "sse"] as const) {
    const { config } = yield* http(kind)
    figures.push(
      ...(yield* Effect.scoped(given(`HTTP, ${kind}`, config))),
      ...(yield* answers(`HTTP, ${kind}`, config))
    )
  }
  return figures
}).pipe(Effect.scoped, Effect.provide(McpNode.layer))
