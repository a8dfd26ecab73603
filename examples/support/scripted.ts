/**
 * Runs the examples of agents without a model: an endpoint on this machine speaks the protocol and follows a script, and the
 * example, a process of its own, is told where it is. With a real model an example needs nothing but its environment:
 *
 * `OPENAI_BASE_URL=http://127.0.0.1:11434/v1 OPENAI_MODEL=qwen3 npx node examples/analyst.ts`
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"

interface Message {
  readonly role: string
  readonly content: string
}

/** What the model does: says a text, or wants calls of tools. */
type Step = string | ReadonlyArray<readonly [name: string, args: Readonly<Record<string, unknown>>]>

interface Example {
  readonly name: string
  readonly model: (messages: ReadonlyArray<Message>) => Step
  readonly shows: ReadonlyArray<RegExp>
}

const highest = "SELECT month, revenue_cents FROM monthly_revenue ORDER BY revenue_cents DESC LIMIT 1"

const answersOf = (messages: ReadonlyArray<Message>) => messages.filter(({ role }) => role === "tool")

const examples: ReadonlyArray<Example> = [
  {
    name: "analyst",
    model: (messages) => {
      const answers = answersOf(messages)
      if (answers.length === 0) return [["sql__list_tables", {}]]
      if (answers.length === 1) return [["sql__execute_query", { sql: highest }]]
      return `The best month:\n${answers[1]?.content ?? ""}`
    },
    shows: [/The best month:[^]*\d{4}-\d{2}/]
  },
  {
    name: "research",
    model: (messages) => {
      const answers = answersOf(messages)
      if (answers.length > 0) return answers.map(({ content }) => content).join("\n")
      return [
        ["archive__search", { query: "whales" }],
        ["files__list_directory", { path: "docs" }]
      ]
    },
    shows: [/archive\/search: Answered, sent 2 times/, /two books on whales/, /design\.md/]
  },
  {
    name: "tenants",
    model: (messages) => {
      const answers = answersOf(messages)
      const who = /I am (\w+)/.exec(messages.map(({ content }) => content).join("\n"))?.[1] ?? "nobody"
      if (answers.length === 0) return [["sql__list_tables", {}]]
      return `There are ${answers[0]?.content.split("\n").length ?? 0} tables, ${who}.`
    },
    shows: ["acme", "globex", "initech"].map(
      (who) => new RegExp(`${who} \\(sql Ready, calls: 1\\): There are \\d+ tables, ${who}\\.`)
    )
  }
]

const toMessage = (step: Step) =>
  typeof step === "string"
    ? { role: "assistant", content: step }
    : {
        role: "assistant",
        content: null,
        tool_calls: step.map(([name, args], index) => ({
          index,
          id: `call_${index}`,
          type: "function",
          function: { name, arguments: JSON.stringify(args) }
        }))
      }

const serve = async (model: Example["model"]) => {
  const server = createServer((req, res) => {
    const chunks: Array<Buffer> = []
    req.on("data", (chunk: Buffer) => chunks.push(chunk))
    req.on("end", () => {
      const request = JSON.parse(Buffer.concat(chunks).toString("utf8")) as {
        readonly messages: ReadonlyArray<Message>
        readonly stream?: boolean
      }
      const step = model(request.messages)
      const finish_reason = typeof step === "string" ? "stop" : "tool_calls"
      const message = toMessage(step)
      if (request.stream === true) {
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.end(`data: ${JSON.stringify({ choices: [{ delta: message, finish_reason }] })}\n\ndata: [DONE]\n\n`)
      } else {
        res.writeHead(200, { "content-type": "application/json" })
        res.end(JSON.stringify({ choices: [{ message, finish_reason }] }))
      }
    })
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  return server
}

const run = async ({ model, name, shows }: Example) => {
  const server = await serve(model)
  const { port } = server.address() as AddressInfo
  const program = fileURLToPath(new URL(`../${name}.ts`, import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, program], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
      OPENAI_API_KEY: "none",
      OPENAI_MODEL: "scripted"
    }
  })
  let output = ""
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString("utf8")
  })
  const [code] = (await once(child, "close")) as [number | null]
  server.close()
  server.closeAllConnections()
  const missing = shows.filter((expected) => !expected.test(output))
  process.stdout.write(`== ${name}\n${output}`)
  for (const expected of missing) process.stdout.write(`${name} does not show ${String(expected)}\n`)
  return code === 0 && missing.length === 0
}

const chosen = process.argv[2]
for (const example of examples) {
  if (chosen !== undefined && chosen !== example.name) continue
  if (!(await run(example))) process.exitCode = 1
}
