/** The server under test over stdio: one write for all answers to one chunk of input. It ends with its input. */
import { appendFileSync } from "node:fs"
import { answer, options } from "./answer.ts"

if (options.count !== undefined) appendFileSync(options.count, ".")

let out = ""
let reading = false

const flush = () => {
  if (out === "") return
  process.stdout.write(out)
  out = ""
}

const reply = (head: string, tail?: Buffer) => {
  if (tail === undefined) {
    out += `${head}\n`
    if (!reading) flush()
    return
  }
  out += head
  flush()
  process.stdout.write(tail)
  process.stdout.write("\n")
}

let rest = ""

const read = (chunk: string) => {
  const text = rest === "" ? chunk : rest + chunk
  let start = 0
  reading = true
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", start)) {
    if (at > start) answer(JSON.parse(text.slice(start, at)), reply)
    start = at + 1
  }
  rest = start === text.length ? "" : text.slice(start)
  reading = false
  flush()
}

const start = () => {
  process.stdin.setEncoding("utf8")
  process.stdin.on("data", read)
  process.stdin.on("end", () => process.exit(0))
}

if (options.delay > 0) setTimeout(start, options.delay)
else start()
