/** The server under test over HTTP/1.1: sockets kept alive, one JSON document per answer. Prints its port. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { answer } from "./answer.ts"

let sessions = 0

const post = (body: string, response: ServerResponse) => {
  const message = JSON.parse(body)
  const session = message.method === "initialize" ? { "mcp-session-id": `session-${++sessions}` } : {}
  const answered = answer(message, (head, tail) => {
    const length = Buffer.byteLength(head) + (tail?.length ?? 0)
    response.writeHead(200, { "content-type": "application/json", "content-length": length, ...session })
    if (tail === undefined) response.end(head)
    else {
      response.write(head)
      response.end(tail)
    }
  })
  if (!answered) response.writeHead(202, { "content-length": 0 }).end()
}

const serve = (request: IncomingMessage, response: ServerResponse) => {
  if (request.method !== "POST") {
    // No stream of notifications, and every session may end.
    request.resume()
    response.writeHead(request.method === "DELETE" ? 200 : 405, { "content-length": 0 }).end()
    return
  }
  let body = ""
  request.setEncoding("utf8")
  request.on("data", (chunk: string) => {
    body += chunk
  })
  request.on("end", () => post(body, response))
}

const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0, noDelay: true }, serve)
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  if (address !== null && typeof address === "object") process.stdout.write(`${address.port}\n`)
})
process.stdin.resume()
process.stdin.on("end", () => process.exit(0))
