/** The tour: eight steps on real servers, each checked, and at the end a look at the system. */
import { McpPool } from "@scoped-mcp/core"
import * as ConfigFile from "@scoped-mcp/core/ConfigFile"
import { McpNode } from "@scoped-mcp/node"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { usage } from "../CliFailure.ts"
import { Screen } from "../terminal/Screen.ts"
import * as ProcessWatch from "./ProcessWatch.ts"
import * as ReferenceHttpServer from "./ReferenceHttpServer.ts"
import * as SocketWatch from "./SocketWatch.ts"
import { callTools } from "./steps/callTools.ts"
import { cancelCall } from "./steps/cancelCall.ts"
import { closePool } from "./steps/closePool.ts"
import { killServer } from "./steps/killServer.ts"
import { listTools } from "./steps/listTools.ts"
import { openAll } from "./steps/openAll.ts"
import { proveNothingLeft } from "./steps/proveNothingLeft.ts"
import { showProgress } from "./steps/showProgress.ts"
import * as Story from "./Story.ts"

/** The pool of the file, which is told the port of the server that we start ourselves. */
const poolOn = (port: number, file: Option.Option<string>) =>
  Effect.provide(
    Effect.flatMap(ConfigFile.load(Option.getOrUndefined(file)), McpPool.make),
    ConfigProvider.layerAdd(ConfigProvider.fromEnv({ env: { EVERYTHING_PORT: String(port) } }), { asPrimary: true })
  )

const withServers = Effect.fnUntraced(function* (
  file: Option.Option<string>,
  processes: ProcessWatch.ProcessWatch,
  sockets: SocketWatch.SocketWatch
) {
  const story = yield* Story.Story
  // A mistake in the file is told before anything is started.
  yield* ConfigFile.load(Option.getOrUndefined(file))
  story.live("starting the reference server over HTTP …")
  const port = yield* ReferenceHttpServer.start
  sockets.mind(port)
  yield* story.line("note", `the reference server over HTTP is a process of the tour, on port ${port}`)
  const pool = yield* poolOn(port, file)
  const step = <E extends Error, R>(title: string, body: Effect.Effect<string, E, R>) =>
    story.step(title, Effect.ensuring(body, Effect.sync(processes.look)))

  yield* Effect.provideService(
    Effect.gen(function* () {
      yield* step("Open every server at once", openAll)
      yield* step("List the tools of all", listTools)
      yield* step("Call them", callTools)
      yield* step("Follow a long call", showProgress)
      yield* step("Kill a server in the middle of a call", killServer)
      yield* step("Cancel a long call", cancelCall)
      yield* step("Close the pool", closePool)
    }),
    McpPool.McpPool,
    pool
  )
})

export const run = (file: Option.Option<string>) =>
  Effect.gen(function* () {
    if (process.platform !== "linux") {
      return yield* usage("the tour looks at /proc to prove that nothing is left, which this system does not have")
    }
    const story = yield* Story.Story
    const startedAt = yield* Clock.currentTimeMillis
    const processes = ProcessWatch.make()
    const sockets = SocketWatch.make()
    yield* story.title("scoped-mcp: real servers, opened, called, killed and closed")
    // The scope inside, so that the servers end before what owns them.
    const exit = yield* Effect.exit(Effect.provide(Effect.scoped(withServers(file, processes, sockets)), McpNode.layer))
    // Also after a step that did not hold: what it left behind is worth knowing.
    const proof = yield* Effect.exit(story.step("Look what is left", proveNothingLeft(processes, sockets)))
    yield* exit
    yield* proof
    const took = Duration.millis((yield* Clock.currentTimeMillis) - startedAt)
    yield* story.title(`\nAll steps hold, in ${Story.seconds(took)}.`)
  }).pipe(
    Effect.provide(Story.layer),
    Effect.onInterrupt(() => Screen.use((screen) => screen.note("scoped-mcp: interrupted; all servers are closed")))
  )
