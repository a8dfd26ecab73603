/**
 * The program behind `scoped-mcp-sql`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as SqliteDatabase from "../SqliteDatabase.ts"
import * as SqlServer from "../SqlServer.ts"
import { packageVersion } from "./packageVersion.ts"

const setting = (name: string) => `SCOPED_MCP_SQL_${name}`

const flags = {
  database: Flag.String("database").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("The SQLite file to read; without it, the packaged sample of an online shop"),
    Flag.withFallbackConfig(Config.String(setting("DATABASE"))),
    Flag.withDefault(SqliteDatabase.sample)
  ),
  http: Flag.Int("http").pipe(
    Flag.withMetavar("PORT"),
    Flag.withDescription("Serve Streamable HTTP at /mcp on this port, 0 for a free one; without it, serve stdio"),
    Flag.withFallbackConfig(Config.Int(setting("HTTP"))),
    Flag.withSchema(Schema.Port),
    Flag.optional
  ),
  host: Flag.String("host").pipe(
    Flag.withDescription("Address to listen on"),
    Flag.withFallbackConfig(Config.String(setting("HOST"))),
    Flag.withDefault("127.0.0.1")
  ),
  allowedHosts: Flag.String("allowed-hosts").pipe(
    Flag.withMetavar("NAMES"),
    Flag.withDescription("Names accepted in Host and Origin headers besides the loopback names, comma-separated"),
    Flag.withFallbackConfig(Config.String(setting("ALLOWED_HOSTS"))),
    Flag.map((names) => names.split(",")),
    Flag.withDefault([])
  ),
  maxRows: Flag.Int("max-rows").pipe(
    Flag.withDescription("Rows of a result"),
    Flag.withFallbackConfig(Config.Int(setting("MAX_ROWS"))),
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
    Flag.withDefault(1000)
  ),
  timeout: Flag.String("timeout").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription('Longest run of a query, for example "10 seconds"'),
    Flag.withFallbackConfig(Config.String(setting("TIMEOUT"))),
    Flag.withSchema(Schema.DurationFromString),
    Flag.withDefault("10 seconds")
  )
}

const command = Command.make(
  "scoped-mcp-sql",
  flags,
  Effect.fnUntraced(function* ({ allowedHosts, database, host, http, maxRows, timeout }) {
    const serve = Option.match(http, {
      onNone: () => SqlServer.runStdio,
      onSome: (port) => Layer.launch(SqlServer.layerHttp({ port, host, allowedHosts }))
    })
    yield* Effect.provide(serve, SqliteDatabase.layer({ file: database, maxRows, timeout }))
  })
).pipe(Command.withDescription("An MCP server that answers read-only SQL queries over one SQLite file."))

// A launcher that re-spawned us holds an IPC channel: we end with it, even if it was killed.
if (process.channel !== undefined) {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))
  process.channel.unref()
}

const report = (message: string) => Console.error(`scoped-mcp-sql: ${message.replaceAll(/\s*\n\s*/g, " ")}`)

// stdout is the protocol's: a client that started us wrongly must not read a help page there.
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.forEach(event.errors, (error) => report(`${error.message} (see --help)`), { discard: true })
      : CliOutput.defaultPresenter.present(event)
}

Command.run(command, { version: packageVersion }).pipe(
  Effect.tapError((error) => {
    switch (error._tag) {
      case "ShowHelp":
        return Effect.void // told by the presenter
      case "ServeError":
        return report(String(error.cause))
      default:
        return report(error.message)
    }
  }),
  Effect.mapError((error) => Object.assign(error, { [Runtime.errorReported]: false })),
  Effect.provide([NodeServices.layer, CliOutput.layerPresenter(presenter), Layer.succeed(Logger.LogToStderr, true)]),
  NodeRuntime.runMain
)
