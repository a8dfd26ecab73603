import { assert, describe, it } from "@effect/vitest"
import { ToolSearch } from "@scoped-mcp/agent"
import { Schema } from "effect"

const tool = (server: string, name: string, description: string, args: ReadonlyArray<string> = []) => ({
  name: `${server}__${name}`,
  server,
  tool: name,
  description,
  inputSchema: { type: "object", properties: Object.fromEntries(args.map((arg) => [arg, {}])) }
})

const tools = [
  tool("github", "create_issue", "Opens an issue in a repository.", ["title", "body"]),
  tool("github", "listPullRequests", "Lists pull requests.", ["repository"]),
  tool("files", "read_file", "Reads a file of the disk.", ["path"]),
  tool("files", "list_directory", "Lists what is in a directory.", ["path"]),
  tool("sql", "execute_query", "Runs a SELECT and returns its rows.", ["sql", "parameters"])
]

const find = (query: string, limit = 3) => ToolSearch.make(tools)(query, limit).map(({ tool }) => tool.tool)

describe("ToolSearch", () => {
  it("puts the best first: by name, description, server and arguments, in any way of writing names", () => {
    assert.strictEqual(find("open an issue")[0], "create_issue")
    assert.strictEqual(find("pull request")[0], "listPullRequests")
    assert.strictEqual(find("file")[0], "read_file")
    assert.strictEqual(find("SQL rows")[0], "execute_query")
    assert.deepStrictEqual(find("path").sort(), ["list_directory", "read_file"])
  })

  it("finds nothing for words that no tool has, and for none", () => {
    assert.deepStrictEqual(find("zebra"), [])
    assert.deepStrictEqual(find(""), [])
    assert.deepStrictEqual(ToolSearch.make([])("file", 3), [])
  })

  it.prop(
    "does not depend on the order of the tools, and keeps to the limit",
    [Schema.String, Schema.Int],
    ([query, seed]) => {
      const rotated = [...tools.slice(Math.abs(seed) % 5), ...tools.slice(0, Math.abs(seed) % 5)]
      const found = ToolSearch.make(rotated)(`${query} list file`, 2).map(({ tool }) => tool.tool)
      assert.deepStrictEqual(found, find(`${query} list file`, 2))
      assert.isAtMost(found.length, 2)
    }
  )
})
