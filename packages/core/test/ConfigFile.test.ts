import { assert, describe, it } from "@effect/vitest"
import * as ConfigFile from "@scoped-mcp/core/ConfigFile"
import { ConfigProvider, Duration, Effect, FileSystem, Redacted, Stream } from "effect"

const secret = "tvly-0123456789"

const withVariables = (env: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

const parse = (text: string, env: Record<string, string> = {}) =>
  ConfigFile.parse("mcp.yaml", text).pipe(withVariables(env))

const mistakes = (text: string, env?: Record<string, string>) =>
  Effect.map(Effect.flip(parse(text, env)), ({ message }) => message.split("\n"))

const stdio = (config: ConfigFile.PoolConfig, name: string) => {
  const server = config.servers[name]
  if (server?._tag !== "Stdio") throw new Error(`${name} is not started as a process`)
  return server
}

const http = (config: ConfigFile.PoolConfig, name: string) => {
  const server = config.servers[name]
  if (server?._tag !== "Http") throw new Error(`${name} is not reached over HTTP`)
  return server
}

describe("the shapes in use", () => {
  it.effect("loads a list of type, name and cmd", () =>
    Effect.gen(function* () {
      const config = yield* parse(`
- type: stdio
  name: files
  cmd: [npx, mcp-server-filesystem, .]
- type: streamable-http
  name: far
  url: https://example.com/mcp
- type: sse
  name: old
  url: https://example.com/sse
`)
      assert.strictEqual(stdio(config, "files").command, "npx")
      assert.deepStrictEqual(stdio(config, "files").args, ["mcp-server-filesystem", "."])
      assert.strictEqual(Redacted.value(http(config, "far").url), "https://example.com/mcp")
      const { old } = config.servers
      assert.strictEqual(old?._tag === "Sse" ? Redacted.value(old.url) : "", "https://example.com/sse")
    })
  )

  for (const key of ["servers", "mcpServers"]) {
    it.effect(`loads a map under ${key}`, () =>
      Effect.gen(function* () {
        const config = yield* parse(`
${key}:
  files: { command: npx, args: [mcp-server-filesystem, 8080], env: { PORT: 3001, DEBUG: true }, cwd: docs, inheritEnv: [LD_PATH], era: modern }
  far: { url: "https://example.com/mcp", headers: { X-Team: 7 }, era: legacy }
`)
        const files = stdio(config, "files")
        assert.deepStrictEqual(files.args, ["mcp-server-filesystem", "8080"])
        assert.deepStrictEqual(
          Object.entries(files.env).map(([name, value]) => [name, Redacted.value(value)]),
          [
            ["PORT", "3001"],
            ["DEBUG", "true"]
          ]
        )
        assert.strictEqual(files.cwd, "docs")
        assert.deepStrictEqual([files.era, http(config, "far").era], ["modern", "legacy"])
        assert.deepStrictEqual(files.inheritEnv, ["LD_PATH"])
        assert.strictEqual(Redacted.value(http(config, "far").headers["X-Team"]!), "7")
      })
    )
  }

  it.effect("reads JSON by the ending of the file", () =>
    Effect.gen(function* () {
      const config = yield* ConfigFile.parse("mcp.json", `{"mcpServers":{"a":{"command":"a","timeout":20}}}`)
      assert.strictEqual(Duration.toSeconds(stdio(config, "a").limits.callTimeout), 20)
      const error = yield* Effect.flip(ConfigFile.parse("mcp.json", `{"token": "${secret}" oops}`))
      assert.match(error.message, /^mcp\.json: not JSON/)
      assert.notInclude(error.message, secret)
    })
  )

  it.effect("reads bare numbers as seconds, texts with their unit, and the limits of the pool", () =>
    Effect.gen(function* () {
      const config = yield* parse(`
acquireTimeout: 1.5
maxConcurrency: 7
servers:
  a: { command: a, timeout: 20, connectTimeout: 500 millis, closeTimeout: "3", maxMessageBytes: 2 MiB, keepAlive: true, maxWaiting: 0, overload: reject }
`)
      const { limits } = stdio(config, "a")
      assert.strictEqual(Duration.toMillis(limits.callTimeout), 20_000)
      assert.strictEqual(Duration.toMillis(limits.connectTimeout), 500)
      assert.strictEqual(Duration.toMillis(limits.closeTimeout), 3000)
      assert.strictEqual(limits.maxMessageBytes, 2 * 1024 * 1024)
      assert.strictEqual(limits.keepAlive, true)
      assert.strictEqual(limits.maxWaiting, 0)
      assert.strictEqual(limits.overload, "reject")
      assert.strictEqual(config.maxConcurrency, 7)
      assert.deepStrictEqual(config.acquireTimeout, Duration.millis(1500))
    })
  )

  it.effect("disables a server that its file switches off, with the reason", () =>
    Effect.gen(function* () {
      const config = yield* parse(
        `servers: { a: { command: a, disabled: true }, b: { command: b, disabled: moved away } }`
      )
      assert.strictEqual(config.servers["a"]?.disabled, "its configuration says so")
      assert.strictEqual(config.servers["b"]?.disabled, "moved away")
    })
  )
})

describe("variables", () => {
  it.effect("puts values, defaults and dollar signs into every text, and keeps values redacted", () =>
    Effect.gen(function* () {
      const config = yield* parse(
        `servers: { a: { command: "\${PROGRAM}", args: ["--key=\${KEY}", "\${NONE:-plain}", "$$\{KEY}", $HOME], timeout: "\${LIMIT}" } }`,
        { PROGRAM: "server", KEY: secret, LIMIT: "20" }
      )
      const server = stdio(config, "a")
      assert.strictEqual(server.command, "server")
      assert.deepStrictEqual(
        server.args.map((arg) => (typeof arg === "string" ? arg : Redacted.value(arg))),
        [`--key=${secret}`, "plain", "${KEY}", "$HOME"]
      )
      assert.strictEqual(typeof server.args[0], "object")
      assert.notInclude(JSON.stringify(config), secret)
      assert.strictEqual(Duration.toSeconds(server.limits.callTimeout), 20)
    })
  )

  it.effect("disables only the server whose variable is not set, and names the variable", () =>
    Effect.gen(function* () {
      const config = yield* parse(
        `
servers:
  search: { command: npx, args: [tavily-mcp], env: { TAVILY_API_KEY: "\${TAVILY_API_KEY}" }, timeout: "\${SLOW}" }
  address: { url: "\${ADDRESS}" }
  empty: { command: "\${EMPTY}" }
  files: { command: npx }
`,
        { EMPTY: "" }
      )
      assert.strictEqual(config.servers["search"]?.disabled, "the variables TAVILY_API_KEY, SLOW are not set")
      assert.strictEqual(config.servers["address"]?.disabled, "the variable ADDRESS is not set")
      assert.strictEqual(config.servers["empty"]?.disabled, "the variable EMPTY is not set")
      assert.strictEqual(config.servers["files"]?.disabled, undefined)
    })
  )

  it.effect("refuses placeholders of another form", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* mistakes(`servers: { a: { command: "\${input:x}", args: ["\${OPEN"] } }`), [
        "mcp.yaml: servers.a.command: expected ${NAME}, ${NAME:-default}, or $$ for a dollar sign",
        "mcp.yaml: servers.a.args[0]: expected ${NAME}, ${NAME:-default}, or $$ for a dollar sign"
      ])
    })
  )
})

describe("mistakes", () => {
  it.effect("are told all at once, each with its place and what was expected", () =>
    Effect.gen(function* () {
      const found = yield* mistakes(`
acquireTimout: 5
servers:
  files: { comand: npx, args: npx }
  slow: { command: a, timeout: soon, maxConcurrency: 0, env: { A: [1] }, type: http }
  both: { command: a, url: "https://example.com" }
  nowhere: { url: example.com }
  "odd name": 7
`)
      assert.deepStrictEqual(found, [
        "mcp.yaml: acquireTimout: unknown key; did you mean acquireTimeout?",
        "mcp.yaml: servers.files: expected command (or cmd) to start the server, or url to reach it",
        "mcp.yaml: servers.files.comand: unknown key; did you mean command?",
        "mcp.yaml: servers.files.args: expected a list",
        "mcp.yaml: servers.slow.type: expected stdio, as the server has a command",
        "mcp.yaml: servers.slow.env.A: expected a text, a number, true or false",
        "mcp.yaml: servers.slow.maxConcurrency: expected a whole number of at least 1",
        'mcp.yaml: servers.slow.timeout: expected a length of time longer than nothing, such as 20 (seconds) or "500 millis"',
        "mcp.yaml: servers.both.command: not possible beside url, which names a running server",
        "mcp.yaml: servers.nowhere: url must be an absolute http: or https: address",
        'mcp.yaml: servers["odd name"]: expected a map of the server\'s fields'
      ])
    })
  )

  it.effect("in a list are told by number, a missing and a repeated name included", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* mistakes(`[{ cmd: [a] }, { name: b, cmd: [] }, { name: c, cmd: [c] }, { name: c, cmd: [c] }]`),
        [
          "mcp.yaml: [0].name: expected the name of the server",
          "mcp.yaml: [1].cmd[0]: expected at least one value",
          "mcp.yaml: [3].name: expected a name that no other server has"
        ]
      )
    })
  )

  it.effect("never show a value", () =>
    Effect.gen(function* () {
      const found = yield* mistakes(
        `servers: { a: { command: a, timeout: "\${KEY}", env: { A: { B: "${secret}" } }, maxWaiting: "${secret}" } }`,
        { KEY: secret }
      )
      assert.strictEqual(found.length, 3)
      assert.notInclude(found.join("\n"), secret)
      const broken = yield* Effect.flip(withVariables({})(ConfigFile.parse("mcp.json", `{ "a": ${secret}`)))
      assert.notInclude(broken.message, "tvly")
    })
  )

  it.effect("of the text itself are told with their line", () =>
    Effect.gen(function* () {
      assert.match((yield* mistakes("servers:\n  a: 1\n  a: 2\n")).join(), /^mcp\.yaml: not YAML: .*line 3/)
      assert.deepStrictEqual(yield* mistakes(""), [
        "mcp.yaml: expected a map with the key servers, or a list of servers"
      ])
    })
  )

  it.effect("include a file whose aliases expand beyond all measure", () =>
    Effect.gen(function* () {
      const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
      for (let i = 1; i < 12; i++) {
        bomb.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(", ")}]`)
      }
      assert.deepStrictEqual(yield* mistakes(bomb.join("\n")), [
        "mcp.yaml: expected at most 100000 values, aliases expanded"
      ])
    })
  )
})

describe("load", () => {
  const files = (contents: Readonly<Record<string, string>>) =>
    Effect.provide(
      FileSystem.layerNoop({
        exists: (path) => Effect.succeed(Object.hasOwn(contents, path)),
        stream: (path, options) =>
          Stream.make(new TextEncoder().encode(contents[path]).slice(0, Number(options?.bytesToRead)))
      })
    )

  it.effect("takes mcp.yaml first, then config/mcp_servers.yaml", () =>
    Effect.gen(function* () {
      const first = { "mcp.yaml": "servers: { a: { command: a } }" }
      const second = { "config/mcp_servers.yaml": "servers: { b: { command: b } }" }
      assert.hasAllKeys((yield* ConfigFile.load().pipe(files({ ...first, ...second }))).servers, ["a"])
      assert.hasAllKeys((yield* ConfigFile.load().pipe(files(second))).servers, ["b"])
      const error = yield* ConfigFile.load().pipe(files({}), Effect.flip)
      assert.match(error.message, /mcp\.yaml or config\/mcp_servers\.yaml: there is no such file here/)
    })
  )

  it.effect("refuses a file over 1 MiB", () =>
    Effect.gen(function* () {
      const large = `servers: {}\n#${"x".repeat(1024 * 1024)}`
      const error = yield* ConfigFile.load("large.yaml").pipe(files({ "large.yaml": large }), Effect.flip)
      assert.strictEqual(error.message, "large.yaml: expected at most 1 MiB")
    })
  )

  it.effect("says that a file is not there", () =>
    Effect.gen(function* () {
      const error = yield* ConfigFile.load("gone.yaml").pipe(Effect.provide(FileSystem.layerNoop({})), Effect.flip)
      assert.strictEqual(error.message, "gone.yaml: there is no such file")
    })
  )
})
