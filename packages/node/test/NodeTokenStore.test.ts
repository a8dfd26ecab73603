import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { TokenStore } from "@scoped-mcp/core"
import { NodeTokenStore } from "@scoped-mcp/node"
import { Deferred, Effect, Fiber, Option, Redacted } from "effect"
import { start } from "./program.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const credential: TokenStore.StoredCredential = {
  tokens: {
    accessToken: Redacted.make("access"),
    refreshToken: Redacted.make("refresh"),
    tokenType: "Bearer",
    issuer: "https://login.example",
    obtainedAt: 1,
    expiresAt: undefined,
    scope: undefined
  },
  client: undefined,
  askedScope: "read"
}

describe("NodeTokenStore", { timeout: 60_000 }, () => {
  it.effect("gives back what it was given, to this user only, and nothing once it is removed", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "state")
      const store = NodeTokenStore.make({ folder: path })
      assert.isTrue(Option.isNone(yield* store.get("a.b-1")))
      yield* store.set("a.b-1", { askedScope: "old" })
      yield* store.set("a.b-1", credential)
      const found = Option.getOrThrow(yield* store.get("a.b-1"))
      assert.strictEqual(Redacted.value(found.tokens!.accessToken), "access")
      assert.strictEqual(Redacted.value(found.tokens!.refreshToken!), "refresh")
      assert.strictEqual(found.askedScope, "read")
      assert.strictEqual(statSync(path).mode & 0o777, 0o700)
      // Nothing beside it: no draft, no lock.
      assert.deepStrictEqual(readdirSync(path), ["a.b-1.json"])
      assert.strictEqual(statSync(join(path, "a.b-1.json")).mode & 0o777, 0o600)
      assert.isTrue(yield* store.remove("a.b-1"))
      assert.isFalse(yield* store.remove("a.b-1"))
    })
  )

  it.effect("uses nothing that others could read or that it did not write, and says no word of it", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const store = NodeTokenStore.make({ folder: path })
      yield* store.set("k", credential)
      chmodSync(join(path, "k.json"), 0o644)
      assert.include((yield* Effect.flip(store.get("k"))).message, "others than its owner can read it")
      // What replaces it is private again.
      yield* store.set("k", credential)
      yield* store.get("k")
      writeFileSync(join(path, "k.json"), `{"tokens":{"accessToken":"canary"`)
      assert.notInclude(JSON.stringify(yield* Effect.flip(store.get("k"))), "canary")
      assert.include((yield* Effect.flip(store.get("../k"))).message, "cannot be the name of a file")
      assert.include((yield* Effect.flip(store.withLock("../k")(Effect.void))).message, "cannot be the name of a file")
    })
  )

  it.live("lets one fibre in at a time, and one that gives up waiting leaves nothing", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const store = NodeTokenStore.make({ folder: path })
      const inside = yield* Deferred.make<void>()
      const leave = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        store.withLock("k")(Effect.andThen(Deferred.succeed(inside, undefined), Deferred.await(leave)))
      )
      yield* Deferred.await(inside)
      const second = yield* Effect.forkChild(store.withLock("k")(Effect.succeed("in")))
      const third = yield* Effect.forkChild(store.withLock("k")(Effect.die("it must not get in")))
      yield* Fiber.interrupt(third)
      // Another key is another lock.
      yield* store.withLock("other")(Effect.void)
      yield* Deferred.succeed(leave, undefined)
      assert.strictEqual(yield* Fiber.join(second), "in")
      yield* Fiber.join(first)
      assert.deepStrictEqual(readdirSync(path), [])
    })
  )

  it.live("keeps two processes from each other", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const file = join(path, "count")
      writeFileSync(file, "0")
      const programs = yield* Effect.all([0, 1].map(() => start("lock.mjs", { folder: path, file, times: 50 })))
      for (const { ended, output } of programs) assert.strictEqual(yield* ended, 0, output.stderr)
      assert.strictEqual(readFileSync(file, "utf8"), "100")
    })
  )

  it.live("is free again when its holder was killed", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const holder = yield* start("lock.mjs", { folder: path, hold: true })
      assert.strictEqual(yield* holder.line, "held")
      yield* holder.kill
      assert.isTrue(readdirSync(path).includes("k.json.lock"))
      const store = NodeTokenStore.make({ folder: path })
      const results = yield* Effect.all(
        Array.from({ length: 5 }, () => store.withLock("k")(Effect.succeed("in"))),
        {
          concurrency: "unbounded"
        }
      )
      assert.lengthOf(results, 5)
      assert.deepStrictEqual(readdirSync(path), [])
    })
  )
})
