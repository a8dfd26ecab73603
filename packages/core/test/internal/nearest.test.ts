import { assert, describe, it } from "@effect/vitest"
import { nearest } from "../../src/internal/nearest.ts"

describe("nearest", () => {
  it("offers at most three names that resemble the one asked for, the nearest first", () => {
    assert.deepStrictEqual(nearest("serch", ["Search2", "files", "search"]), ["search", "Search2"])
    assert.deepStrictEqual(nearest("x", ["database"]), [])
    assert.lengthOf(nearest("tool", ["tool1", "tool2", "tool3", "tool4"]), 3)
  })
})
