import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { McpPool, ServerConfig } from "@scoped-mcp/core"
import { McpNode } from "@scoped-mcp/node"
import { Duration, Effect, Exit, Fiber, Layer, Logger, Option, Redacted, Stream, Tracer } from "effect"
import { fixture, spawn } from "./system.ts"

const canary = (place: string) => `canary-${place}-${randomUUID()}`

const secrets = {
  declared: canary("declared"),
  named: canary("named"),
  token: canary("token"),
  password: canary("password"),
  argument: canary("argument"),
  query: canary("query"),
  bearer: canary("bearer"),
  header: canary("header")
}

const withVariables = (variables: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => Object.assign(process.env, variables)),
    () => Effect.sync(() => Object.keys(variables).forEach((name) => delete process.env[name]))
  )

const startHttp = Effect.gen(function* () {
  const server = yield* spawn({
    command: process.execPath,
    args: [fixture("http.mjs"), "0", "json"],
    env: {},
    inheritEnv: "minimal",
    cwd: undefined,
    stopTimeout: Duration.seconds(2)
  })
  yield* server.heard(`"port"`)
  return /"port":(\d+)/.exec(server.stdout.join(""))![1]
})

/** Everything of a value that can be seen, however it is printed. */
const seen = (value: unknown): string =>
  [
    inspect(value, { depth: 12, showHidden: true, maxStringLength: null }),
    JSON.stringify(value),
    value instanceof Error ? `${value.message} ${value.stack}` : ""
  ].join("\n")

/** Uses servers until each of them has repeated all it knows, in every way; what could be seen of it, and its results. */
const exercise = Effect.fnUntraced(function* (servers: McpPool.Options["servers"]) {
  const said: Array<string> = []
  const results: Array<string> = []
  const spans: Array<Tracer.NativeSpan> = []
  const keep = (value: unknown) => void said.push(seen(value))
  const logger = Logger.make((options) => keep([options.message, options.cause]))
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })

  yield* Effect.gen(function* () {
    const pool = yield* McpPool.McpPool
    const events = yield* Effect.forkChild(Stream.runForEach(pool.events, (event) => Effect.sync(() => keep(event))))
    yield* Effect.yieldNow
    keep(yield* pool.warmup())
    for (const server of Object.keys(servers)) {
      for (const tool of ["quote", "refuse", "unheard of", "drop"]) {
        keep(yield* Effect.flip(pool.callTool({ server, tool })))
        keep([yield* pool.stats, yield* pool.statuses])
      }
      // A result belongs to its caller, and shows that the server knows them all.
      const known = yield* Effect.option(pool.callTool({ server, tool: "env" }))
      if (Option.isSome(known)) results.push(known.value.text)
    }
    yield* pool.close
    yield* Fiber.join(events)
    keep(yield* Effect.flip(pool.callTool({ server: "any", tool: "env" })))
  }).pipe(
    Effect.withSpan("program"),
    Effect.provide(McpPool.layer({ servers })),
    Effect.provide(Layer.fresh(McpNode.layer)),
    Effect.provide(Logger.layer([logger])),
    Effect.withTracer(tracer)
  )
  for (const { attributes, events, name, status } of spans) {
    // What it succeeded with is the caller's, and no exporter has it.
    const cause = status._tag === "Ended" && Exit.isFailure(status.exit) ? status.exit.cause : undefined
    said.push(inspect([name, attributes, events, cause], { depth: 12, maxStringLength: null }))
  }
  return { everything: said.join("\n"), results: results.join() }
})

const server = (manners: ReadonlyArray<string>, inheritEnv: ServerConfig.InheritEnv) =>
  ServerConfig.stdio({
    command: process.execPath,
    args: [fixture("server.mjs"), ...manners, Redacted.make(secrets.argument)],
    env: { DECLARED: secrets.declared },
    inheritEnv
  })

const checkClean = (everything: string) => {
  for (const [place, secret] of Object.entries(secrets)) {
    const at = everything.indexOf(secret)
    assert.strictEqual(at, -1, `${place}: ${everything.slice(Math.max(0, at - 200), at)}`)
  }
  // They were there to be scrubbed, and what is no secret stayed readable.
  assert.isAbove(everything.split("<redacted>").length, 20)
  assert.include(everything, fixture("server.mjs"))
  assert.include(everything, process.env["PATH"]!)
}

describe("secrets are in no error, log, span, event, statistic or status, whatever the servers repeat", () => {
  it.live("those that are configured, and variables that are inherited by name", () =>
    Effect.gen(function* () {
      yield* withVariables({ CANARY_PLAIN: secrets.named, CANARY_URL: `postgres://user:${secrets.password}@db/shop` })
      const port = yield* startHttp
      const { everything, results } = yield* exercise({
        named: server(["tell"], ["CANARY_PLAIN", "CANARY_URL"]),
        dies: server(["tell", "die"], ["CANARY_PLAIN", "CANARY_URL"]),
        http: ServerConfig.http({
          url: `http://127.0.0.1:${port}/mcp?key=${secrets.query}`,
          headers: { Authorization: `Bearer ${secrets.bearer}`, "X-Key": secrets.header }
        })
      })
      for (const place of ["declared", "named", "password"] as const) assert.include(results, secrets[place])
      checkClean(everything)
    }).pipe(Effect.provide(McpNode.layer))
  )

  it.live("variables that are inherited with all others, and are named like secrets or hold a password", () =>
    Effect.gen(function* () {
      yield* withVariables({ CANARY_TOKEN: secrets.token, CANARY_URL: `postgres://user:${secrets.password}@db/shop` })
      const { everything, results } = yield* exercise({ all: server(["tell"], "all") })
      for (const place of ["declared", "token", "password"] as const) assert.include(results, secrets[place])
      checkClean(everything)
    })
  )
})
