import { assert, describe, it } from "@effect/vitest"
import { ServerConfig } from "@scoped-mcp/core"
import { Effect } from "effect"
import { alive, eventually, fixture, makeTag, openFiles } from "./system.ts"

interface App {
  readonly fetch: (request: Request) => Promise<Response>
  readonly close: () => Promise<void>
}

const example = new URL("../../../examples/web.ts", import.meta.url).href

describe("the recipe for web frameworks", () => {
  it.live(
    "answers requests from pools that outlive them, cancels what nobody waits for, and leaves nothing behind",
    () =>
      Effect.gen(function* () {
        const { makeApp }: { makeApp: (servers: object) => App } = yield* Effect.promise(() => import(example))
        const round = (tag: string) =>
          Effect.gen(function* () {
            const it = ServerConfig.stdio({
              command: process.execPath,
              args: [fixture("server.mjs")],
              env: { TAG: tag },
              closeTimeout: "3 seconds"
            })
            const app = makeApp({ it })
            const get = (path: string, signal?: AbortSignal) =>
              Effect.promise(() =>
                app.fetch(new Request(`http://localhost${path}`, signal === undefined ? {} : { signal }))
              )
            const text = (path: string) =>
              Effect.flatMap(get(path), (response) => Effect.promise(() => response.text()))
            const pids = yield* Effect.all([text("/acme/it/pid"), text("/acme/it/pid"), text("/globex/it/pid")], {
              concurrency: "unbounded"
            })
            assert.strictEqual(pids[0], pids[1])
            assert.notStrictEqual(pids[0], pids[2])
            assert.strictEqual(yield* text("/acme/it/pid"), pids[0])
            assert.strictEqual((yield* get("/acme/it/nothing")).status, 502)
            assert.strictEqual((yield* get("/..%2F/it/pid")).status, 502)
            const left = new AbortController()
            const hanging = app.fetch(new Request("http://localhost/acme/it/hang", { signal: left.signal }))
            left.abort()
            yield* Effect.flip(Effect.tryPromise(() => hanging))
            assert.strictEqual(yield* text("/acme/it/pid"), pids[0])
            assert.lengthOf(yield* alive(tag), 2)
            yield* Effect.promise(app.close)
            assert.deepStrictEqual(yield* alive(tag), [])
          })
        yield* round(makeTag())
        const before = yield* openFiles
        for (let again = 0; again < 3; again++) yield* round(makeTag())
        yield* eventually(openFiles, (count) => count <= before)
      }),
    60_000
  )
})
