import { describe, it } from "@effect/vitest"
import { McpNode } from "@scoped-mcp/node"
import { PoolContract } from "@scoped-mcp/testing"
import { Effect } from "effect"
import * as subjects from "./support/subjects.ts"

const contract = (name: string, subject: PoolContract.Subject) =>
  describe(`a pool over servers ${name}`, () => {
    for (const each of PoolContract.cases) {
      it.live(each.name, () => Effect.provide(PoolContract.check(each, subject), McpNode.layer))
    }
  })

contract("in memory", subjects.inMemory)
contract("on stdio", subjects.stdio)
contract("over HTTP that answers as it likes", subjects.http("auto"))
contract("over HTTP with streams", subjects.http("sse"))
