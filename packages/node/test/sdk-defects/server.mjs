// An MCP server over stdio as the defects of a client need it. Manners by argument:
//   ignore-end, ignore-term   stays after the end of its input, after TERM
//   helper                    starts a helper that holds nothing of ours
//   plain                     offers no tools
//   modern                    speaks 2026-07-28 only
//   cold                      begins to read after 700 milliseconds
import { spawn } from "node:child_process"

const manners = process.argv.slice(2)
const has = (manner) => manners.includes(manner)

if (has("ignore-end")) setInterval(() => {}, 60_000)
if (has("ignore-term")) process.on("SIGTERM", () => {})
const startHelper = (stdio) => spawn("sleep", ["1000"], { stdio }).unref()
if (has("helper")) startHelper("ignore")

const line = (frame) => `${JSON.stringify({ jsonrpc: "2.0", ...frame })}\n`
const send = (...frames) => process.stdout.write(frames.map(line).join(""))
const modern = "2026-07-28"
const text = (content, more) => ({ content: [{ type: "text", text: content }], ...more })
const progress = (progressToken, progress) => ({
  method: "notifications/progress",
  params: { progressToken, progress }
})

const cancelled = []
let asked
const running = new Map()
let listings = 0

// Listed first with a number, then with a text; both times under the same name.
const outputSchema = () => ({
  $id: "https://example.com/changing",
  type: "object",
  properties: { value: { type: listings > 1 ? "string" : "number" } },
  required: ["value"]
})
const tools = () => [
  { name: "changing", inputSchema: { type: "object" }, outputSchema: outputSchema() },
  { name: "odd", inputSchema: { type: "object" }, outputSchema: { ...outputSchema(), $id: "urn:x" } }
]

const call = (id, name, args, token) => {
  const answer = (result) => send({ id, result: has("modern") ? { resultType: "complete", ...result } : result })
  switch (name) {
    case "echo":
      return answer(text(args.text))
    case "slow":
      return setTimeout(() => answer(text("done")), args.millis)
    case "hang":
      return running.set(id, { name: args.name })
    case "ticking": {
      let step = 0
      return running.set(id, { name: args.name, timer: setInterval(() => send(progress(token, ++step)), 20) })
    }
    case "cancelled":
      return answer(text(cancelled.join()))
    case "steps":
      return send(progress(token, 1), progress(token, 2), { id, result: text("done") })
    case "big":
      return answer(text("x".repeat(args.bytes)))
    case "chatty":
      return process.stderr.write("e".repeat(args.bytes), () => answer(text("done")))
    case "deaf":
      // What comes after is left in the pipe; the process lives.
      process.stdin.pause()
      setInterval(() => {}, 60_000)
      return answer(text(String(process.pid)))
    case "leave":
      startHelper(["ignore", "inherit", "ignore"])
      return process.exit(0)
    case "change":
      send({ method: "notifications/tools/list_changed" })
      return answer(text("changed"))
    case "ask": {
      asked = (response) => answer(text(JSON.stringify(response)))
      const requestedSchema = { type: "object", properties: { name: { type: "string" } } }
      return send({ id: "ask", method: "elicitation/create", params: { message: "Who?", requestedSchema } })
    }
    case "changing":
    case "odd":
      return answer(text("a text", { structuredContent: { value: "a text" } }))
    default:
      return send({ id, error: { code: -32602, message: `Unknown tool: ${name}` } })
  }
}

const handle = ({ id, method, params, ...response }) => {
  const result = (value) => send({ id, result: value })
  if (method === undefined) return asked(response)
  switch (method) {
    case "server/discover": {
      const description = { supportedVersions: [modern], capabilities: { tools: {} }, resultType: "complete" }
      if (has("modern")) return result(description)
      return send({ id, error: { code: -32601, message: `Method not found: ${method}` } })
    }
    case "initialize":
      if (has("modern")) {
        const data = { supported: [modern], requested: params.protocolVersion }
        return send({ id, error: { code: -32022, message: "Unsupported protocol version", data } })
      }
      return result({
        protocolVersion: params.protocolVersion,
        capabilities: has("plain") ? {} : { tools: { listChanged: true } },
        serverInfo: { name: "defects", version: "1.0.0" }
      })
    case "ping":
      return result({})
    case "tools/list":
      listings++
      return result({ tools: tools() })
    case "tools/call":
      return call(id, params.name, params.arguments, params._meta?.progressToken)
    case "notifications/cancelled": {
      const call = running.get(params.requestId)
      clearInterval(call?.timer)
      return call === undefined ? undefined : cancelled.push(call.name)
    }
    default:
      return id === undefined
        ? undefined
        : send({ id, error: { code: -32601, message: `Method not found: ${method}` } })
  }
}

if (has("cold")) await new Promise((resolve) => setTimeout(resolve, 700))

let rest = ""
process.stdin.setEncoding("utf8").on("data", (piece) => {
  const lines = (rest + piece).split("\n")
  rest = lines.pop()
  for (const one of lines) handle(JSON.parse(one))
})
process.stdin.on("end", () => {
  if (!has("ignore-end")) process.exit(0)
})
