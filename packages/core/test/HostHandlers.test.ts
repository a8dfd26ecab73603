import { assert, describe, it } from "@effect/vitest"
import { HostHandlers, McpConnection } from "@scoped-mcp/core"
import { Effect, Layer, Queue, Stream } from "effect"
import * as Platform from "./support/platform.ts"
import * as Pool from "./support/pool.ts"
import { type Frame, ScriptedPeer } from "./support/ScriptedPeer.ts"

const open = <R>(peer: ScriptedPeer, host: Layer.Layer<R>) =>
  McpConnection.make("memory", peer.source()).pipe(Effect.provide(Layer.merge(Platform.none, host)))

const told = (peer: ScriptedPeer) =>
  (peer.sent("initialize")[0]!.params as { readonly capabilities: unknown }).capabilities

/** The server asks, and waits for the answer. */
const asks = Effect.fnUntraced(function* (peer: ScriptedPeer, id: number, method: string, params: unknown) {
  peer.last.raw({ jsonrpc: "2.0", id, method, params })
  const answered = (): Frame | undefined =>
    peer.last.received.find((frame) => frame.id === id && frame.method === undefined)
  yield* peer.until(() => answered() !== undefined)
  return answered()!
})

const form = (properties: Readonly<Record<string, unknown>>) => ({
  message: "which?",
  requestedSchema: { type: "object", properties }
})

const sampling = Layer.succeed(HostHandlers.Sampling, {
  createMessage: ({ messages }, { server }) =>
    Effect.succeed({
      role: "assistant",
      model: "none",
      content: { type: "text", text: `${server} sent ${messages.length}` }
    })
})

const roots = (changes?: Stream.Stream<unknown>) =>
  Layer.succeed(HostHandlers.Roots, { list: () => Effect.succeed([{ uri: "file:///srv", name: "srv" }]), changes })

describe("HostHandlers", () => {
  it.effect("are told to the server exactly where there is one", () =>
    Effect.gen(function* () {
      const elicitation = (modes: { readonly form?: boolean; readonly url?: boolean }) => {
        const yes = () => Effect.succeed({ action: "accept" as const })
        return Layer.succeed(HostHandlers.Elicitation, {
          ...(modes.form === true ? { form: yes } : {}),
          ...(modes.url === true ? { url: yes } : {})
        })
      }
      const hosts: ReadonlyArray<readonly [Layer.Layer<never> | Layer.Layer<unknown>, unknown]> = [
        [Layer.empty, {}],
        [sampling, { sampling: {} }],
        [elicitation({}), {}],
        [elicitation({ form: true }), { elicitation: { form: { applyDefaults: true } } }],
        [elicitation({ url: true }), { elicitation: { url: {} } }],
        [roots(), { roots: {} }],
        [roots(Stream.never), { roots: { listChanged: true } }]
      ]
      for (const [host, capabilities] of hosts) {
        const peer = new ScriptedPeer()
        yield* open(peer, host as Layer.Layer<unknown>)
        assert.deepStrictEqual(told(peer), capabilities)
      }
    })
  )

  it.effect("answer a server that asks for a message of a model, and for the roots", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      yield* open(peer, Layer.merge(sampling, roots()))
      const messages = [{ role: "user", content: { type: "text", text: "hello" } }]
      const message = yield* asks(peer, 1, "sampling/createMessage", { messages, maxTokens: 10 })
      assert.deepStrictEqual(message["result"], {
        role: "assistant",
        model: "none",
        content: { type: "text", text: "memory sent 1" }
      })
      const listed = yield* asks(peer, 2, "roots/list", {})
      assert.deepStrictEqual(listed["result"], { roots: [{ uri: "file:///srv", name: "srv" }] })
    })
  )

  it.effect("fill in the defaults of a form that is accepted, and of no other", () =>
    Effect.gen(function* () {
      const answers = [
        { action: "accept", content: { name: "Ada" } },
        { action: "accept" },
        { action: "decline" }
      ] as const
      let answer = 0
      const peer = new ScriptedPeer()
      yield* open(
        peer,
        Layer.succeed(HostHandlers.Elicitation, {
          form: () => Effect.sync(() => answers[answer++]!)
        })
      )
      const properties = {
        name: { type: "string", default: "nobody" },
        age: { type: "integer", default: 42 },
        score: { type: "number", default: 0 },
        sure: { type: "boolean", default: false },
        colour: { type: "string", enum: ["red", "blue"], default: "red" },
        note: { type: "string" }
      }
      const defaults = { name: "nobody", age: 42, score: 0, sure: false, colour: "red" }
      const results = yield* Effect.forEach([1, 2, 3], (id) =>
        Effect.map(asks(peer, id, "elicitation/create", form(properties)), ({ result }) => result)
      )
      assert.deepStrictEqual(results, [
        { action: "accept", content: { ...defaults, name: "Ada" } },
        { action: "accept", content: defaults },
        { action: "decline" }
      ])
    })
  )

  it.effect("are asked in the mode they have, and refuse the other in words of ours", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const peer = new ScriptedPeer()
      yield* open(
        peer,
        Layer.succeed(HostHandlers.Elicitation, {
          url: ({ url }) => Effect.sync(() => (seen.push(url), { action: "accept" as const }))
        })
      )
      const params = { mode: "url", message: "log in", url: "https://example.com/login", elicitationId: "1" }
      const sent = yield* asks(peer, 1, "elicitation/create", params)
      assert.deepStrictEqual(sent["result"], { action: "accept" })
      assert.deepStrictEqual(seen, ["https://example.com/login"])
      const refused = yield* asks(peer, 2, "elicitation/create", form({}))
      assert.deepInclude(refused["error"], { code: -32_602 })
    })
  )

  it.effect("that fail tell the server nothing of their failure, unless they mean to", () =>
    Effect.gen(function* () {
      const secret = "db password=hunter2"
      const failures = [
        Effect.die(new Error(secret)),
        Effect.die(undefined),
        new HostHandlers.Refused({ text: "the user said no" })
      ]
      let count = 0
      const peer = new ScriptedPeer()
      yield* open(
        peer,
        Layer.succeed(HostHandlers.Sampling, { createMessage: () => Effect.suspend(() => failures[count++]!) })
      )
      const params = { messages: [{ role: "user", content: { type: "text", text: "hello" } }], maxTokens: 10 }
      const errors = yield* Effect.forEach([1, 2, 3], (id) =>
        Effect.map(asks(peer, id, "sampling/createMessage", params), ({ error }) => error)
      )
      assert.deepStrictEqual(errors, [
        { code: -32_603, message: "the host could not answer" },
        { code: -32_603, message: "the host could not answer" },
        { code: -1, message: "the user said no" }
      ])
      assert.notInclude(JSON.stringify(peer.last.received), secret)
    })
  )

  it.effect("are interrupted when the server does not want the answer any more, and when the connection ends", () =>
    Effect.gen(function* () {
      let begun = 0
      let interrupted = 0
      const peer = new ScriptedPeer()
      const host = Layer.succeed(HostHandlers.Roots, {
        list: () =>
          Effect.suspend(() => {
            begun++
            return Effect.never
          }).pipe(Effect.onInterrupt(() => Effect.sync(() => void interrupted++)))
      })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* open(peer, host)
          peer.last.raw({ jsonrpc: "2.0", id: 1, method: "roots/list" })
          yield* Pool.eventually(() => begun === 1)
          peer.last.notify("notifications/cancelled", { requestId: 1 })
          yield* Pool.eventually(() => interrupted === 1)
          peer.last.raw({ jsonrpc: "2.0", id: 2, method: "roots/list" })
          yield* Pool.eventually(() => begun === 2)
        })
      )
      assert.strictEqual(interrupted, 2)
    })
  )

  it.effect("answer 32 requests of one server at a time", () =>
    Effect.gen(function* () {
      let begun = 0
      const peer = new ScriptedPeer()
      yield* open(
        peer,
        Layer.succeed(HostHandlers.Roots, {
          list: () =>
            Effect.suspend(() => {
              begun++
              return Effect.never
            })
        })
      )
      for (let id = 1; id <= 32; id++) peer.last.raw({ jsonrpc: "2.0", id, method: "roots/list" })
      const refused = yield* asks(peer, 33, "roots/list", {})
      assert.deepInclude(refused["error"], { code: -32_603 })
      assert.strictEqual(begun, 32)
    })
  )

  it.effect("tell servers of the 2025 era when the roots change", () =>
    Effect.gen(function* () {
      const changes = yield* Queue.unbounded<void>()
      const peer = new ScriptedPeer()
      yield* open(peer, roots(Stream.fromQueue(changes)))
      yield* Queue.offerAll(changes, [undefined, undefined])
      yield* peer.until(() => peer.sent("notifications/roots/list_changed").length === 2)
    })
  )

  it.effect("are taken from the context of a pool", () =>
    Effect.gen(function* () {
      const peer = new ScriptedPeer()
      const pool = yield* Pool.make({ s: peer.source() }).pipe(Effect.provide(sampling))
      yield* pool.callTool({ server: "s", tool: "echo" })
      assert.deepStrictEqual(told(peer), { sampling: {} })
    })
  )
})
