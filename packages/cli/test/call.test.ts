import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { scopedMcp } from "./support/cli.ts"
import { broken, changed, folder, server, withoutKey, write } from "./support/configuration.ts"

const secret = "sk-0123456789abcdef"

const call = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const file = yield* write({ alpha: server({ TOKEN: secret }), broken, keyless: withoutKey })
  return yield* scopedMcp(["call", ...args, "--config", file])
})

describe("call", () => {
  it.live("prints the text of the answer and exits 0", () =>
    Effect.gen(function* () {
      const { code, left, stderr, stdout } = yield* call("alpha", "echo", '{"a":[1,"b"]}')
      assert.deepStrictEqual([code, stdout, stderr], [0, '{"a":[1,"b"]}\n', ""])
      assert.deepStrictEqual(left, [])
    })
  )

  it.live("sends an empty object when no arguments are given", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* call("alpha", "echo")).stdout, "{}\n")
    })
  )

  it.live("prints the whole result with --json, structured content included", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* call("alpha", "echo", '{"a":1}', "--json")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(JSON.parse(stdout), {
        content: [{ type: "text", text: '{"a":1}' }],
        structuredContent: { echoed: { a: 1 } }
      })
    })
  )

  it.live("leaves the bytes of an answer alone on a pipe", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* call("alpha", "colours")).stdout, "\u001B[31mred\u001B[0m\n")
    })
  )

  const failures = [
    {
      name: "a tool that reports failure",
      args: ["alpha", "fail"],
      code: 1,
      line: 'Tool "fail" of "alpha" failed: it broke, badly, with <redacted>'
    },
    { name: "a server that does not start", args: ["broken", "echo"], code: 1, line: /^Could not connect to "broken"/ },
    {
      name: "an unknown server",
      args: ["alpa", "echo"],
      code: 2,
      line: 'There is no server named "alpa". Did you mean "alpha"?'
    },
    {
      name: "an unknown tool",
      args: ["alpha", "ehco"],
      code: 2,
      line: '"alpha" has no tool named "ehco". Did you mean "echo"?'
    },
    {
      name: "a disabled server",
      args: ["keyless", "echo"],
      code: 2,
      line: '"keyless" is disabled: the variable SCOPED_MCP_TEST_KEY is not set'
    },
    {
      name: "arguments that are no JSON",
      args: ["alpha", "echo", "{a:1"],
      code: 2,
      line: /^the arguments are no JSON object/
    },
    {
      name: "arguments that are no object",
      args: ["alpha", "echo", "[1]"],
      code: 2,
      line: /^the arguments are no JSON object/
    },
    {
      name: "an unknown flag",
      args: ["alpha", "echo", "--jsno"],
      code: 2,
      line: /^Unrecognized flag: --jsno .*see scoped-mcp call --help/
    },
    { name: "a missing argument", args: ["alpha"], code: 2, line: /^Missing required argument: tool/ }
  ]

  for (const { args, code, line, name } of failures) {
    it.live(`says in one line, without stack or secret, what is wrong with ${name}, and exits ${code}`, () =>
      Effect.gen(function* () {
        const outcome = yield* call(...args)
        assert.strictEqual(outcome.code, code, outcome.stderr)
        assert.strictEqual(outcome.stdout, "")
        const [only = "", ...others] = outcome.stderr.trimEnd().split("\n")
        assert.deepStrictEqual(others, [])
        assert.isTrue(only.startsWith("scoped-mcp: "))
        const told = only.slice("scoped-mcp: ".length)
        if (typeof line === "string") assert.strictEqual(told, line)
        else assert.match(told, line)
        assert.notInclude(outcome.stderr, secret)
        assert.notMatch(outcome.stderr, /\bat .+:\d+:\d+/)
        assert.deepStrictEqual(outcome.left, [])
      })
    )
  }

  it.live("says that there is no configuration, and exits 2", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* scopedMcp(["call", "alpha", "echo"], { cwd: yield* folder })
      assert.strictEqual(code, 2)
      assert.match(stderr, /^scoped-mcp: mcp\.yaml or config\/mcp_servers\.yaml: there is no such file here.*\n$/)
    })
  )

  it.live("tells every mistake of the configuration, each on a line", () =>
    Effect.gen(function* () {
      const file = yield* write({ alpha: { ...server(), tiemout: 5 }, beta: { args: [] } })
      const { code, stderr } = yield* scopedMcp(["call", "alpha", "echo", "--config", file])
      assert.strictEqual(code, 2)
      assert.deepStrictEqual(stderr.replaceAll(file, "FILE").split("\n"), [
        "scoped-mcp: FILE: servers.alpha.tiemout: unknown key; did you mean timeout?",
        "scoped-mcp: FILE: servers.beta: expected command (or cmd) to start the server, or url to reach it",
        ""
      ])
    })
  )

  it.live("is cancelled on the server by Ctrl-C, and exits 130 with nothing left", () =>
    Effect.gen(function* () {
      const place = yield* folder
      const journal = `${place}/journal`
      const file = yield* write({ alpha: server({ JOURNAL: journal }) })
      const outcome = yield* scopedMcp(["call", "alpha", "wait", "--config", file], {
        interruptWhen: changed(place)
      })
      assert.strictEqual(outcome.code, 130)
      assert.deepStrictEqual(readFileSync(journal, "utf8").split("\n"), ["waiting", "cancelled", ""])
      assert.deepStrictEqual(outcome.left, [])
    })
  )
})
