/** Servers of many tenants: processes, one HTTP server for all, and some in memory. All write down whom they served, and
 * everything they say carries the name of the tenant they were made for, faults included. */
import { HttpDispatcher, ProcessOwner } from "@scoped-mcp/core"
import { Context, Effect, Layer } from "effect"
import * as Platform from "./platform.ts"
import { ScriptedPeer } from "./ScriptedPeer.ts"

/** What a server was given and told, and whose it is. */
export interface Journal {
  readonly of: string
  readonly seen: Array<unknown>
}

interface Line {
  readonly send: (frame: unknown) => void
  readonly die: (why: string) => void
}

const answer = (of: string, frame: Record<string, unknown>, { die, send }: Line) => {
  const { id, method } = frame
  const params = (frame["params"] ?? {}) as Record<string, unknown>
  const { canary } = (params["arguments"] ?? {}) as Record<string, unknown>
  const reply = (result: unknown) => send({ jsonrpc: "2.0", id, result })
  if (id === undefined) return
  if (method === "initialize") {
    const serverInfo = { name: `server of ${of}`, version: "1" }
    return reply({ protocolVersion: params["protocolVersion"], capabilities: { tools: {} }, serverInfo })
  }
  if (method === "tools/list") return reply({ tools: [{ name: of, inputSchema: { type: "object" } }] })
  if (method !== "tools/call") return reply({})
  const content = [{ type: "text", text: `${of} served ${String(canary)}` }]
  if (params["name"] === "die") return die(`${of} is down`)
  if (params["name"] === "refuse") return send({ jsonrpc: "2.0", id, error: { code: -32_000, message: `by ${of}` } })
  if (params["name"] !== "hang") return reply({ content, isError: params["name"] === "fail" })
}

/** `namesIn` finds the tenants that are named in a text. */
export const make = (namesIn: (text: string) => ReadonlyArray<string>) => {
  const journals = new Map<unknown, Journal>()
  /** Sessions of HTTP, and whose they are. */
  const sessions = new Map<string, string>()
  const peers = new Map<string, ScriptedPeer>()
  const journal = (key: unknown, of: string): Journal => {
    const known = journals.get(key) ?? { of, seen: [] }
    journals.set(key, known)
    return known
  }

  const processes = Platform.processes([], (child, frame) => {
    const { args, env } = child.command
    const given = [String(args[0]), env["TENANT"]!]
    const { of, seen } = journal(child, namesIn(given[1]!)[0] ?? "nobody")
    seen.push(given, frame)
    answer(of, frame, {
      send: (reply) => child.send(reply),
      die: (why) => {
        child.stderr(`${why}\n`)
        child.exit(1)
      }
    })
  })

  const http = new Platform.FakeHttp()
  const serve = (post: Platform.Posted) => {
    const { frame, request } = post
    const of = namesIn(request.headers["x-tenant"] ?? "")[0] ?? "nobody"
    const session = request.headers["mcp-session-id"]
    journal(`http of ${of}`, of).seen.push(frame, session === undefined ? of : sessions.get(session))
    if (frame["id"] === undefined) return post.respond(202, {}, "")
    const headers: Record<string, string> = { ...Platform.json }
    if (frame["method"] === "initialize") {
      headers["mcp-session-id"] = `session-${sessions.size}`
      sessions.set(headers["mcp-session-id"], of)
    }
    answer(of, frame, {
      send: (reply) => post.respond(200, headers, JSON.stringify(reply)),
      die: (why) => post.fail(why)
    })
  }
  http.onPosted = serve
  http.onOther = (post) => {
    serve(post)
    return true
  }

  return {
    journals,
    sessions,
    peer: (of: string): ScriptedPeer => {
      const text = (call: { readonly arguments: Readonly<Record<string, unknown>> }) => {
        journal(`memory of ${of}`, of).seen.push(call.arguments)
        return `${of} served ${String(call.arguments["canary"])}`
      }
      const peer =
        peers.get(of) ??
        new ScriptedPeer({
          tools: {
            echo: (call) => call.text(text(call)),
            fail: (call) => call.reply({ isError: true, content: [{ type: "text", text: text(call) }] }),
            refuse: (call) => call.refuse(-32_000, `by ${of}`),
            die: (call) => call.session.drop(),
            hang: () => {},
            [of]: () => {}
          }
        })
      peers.set(of, peer)
      return peer
    },
    platform: Layer.effectContext(
      Effect.gen(function* () {
        const { dispatch, fetch } = Context.get(yield* Layer.build(http.layer), HttpDispatcher.HttpDispatcher)
        const owner = Context.get(yield* Layer.build(processes), ProcessOwner.ProcessOwner)
        return Context.make(ProcessOwner.ProcessOwner, owner).pipe(
          Context.add(HttpDispatcher.HttpDispatcher, { dispatch, fetch })
        )
      })
    )
  }
}
