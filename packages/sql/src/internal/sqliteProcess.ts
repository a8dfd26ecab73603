/**
 * The process that runs queries, started by `QueryProcess`. Its main thread only
 * passes lines on and watches: a query that never ends blocks the other thread,
 * not this one. So the process ends when its parent does, however that died,
 * and when it holds too much memory.
 */
import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import type { EncodedResponse, Settings } from "./protocol.ts"

const settings = JSON.parse(process.argv[2] ?? "{}") as Settings

// An orderly exit would wait for the blocked thread.
const end = () => process.kill(process.pid, "SIGKILL")

const thread = new Worker(new URL(`./sqliteThread${extname(import.meta.url)}`, import.meta.url), {
  workerData: settings
})
thread.on("message", (line: string) => process.stdout.write(`${line}\n`))
thread.on("error", (cause) => process.stderr.write(`${String(cause)}\n`, end))

let rest = ""
process.stdin
  .setEncoding("utf8")
  .on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n")
    rest = lines.pop() ?? ""
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    for (const line of lines) thread.postMessage(line)
  })
  // The parent holds the other end of the pipe: it closes with the parent.
  .on("close", end)
process.stdout.on("error", end)

const overMemory: EncodedResponse = { _tag: "OverMemory" }

const watch = setInterval(() => {
  if (process.memoryUsage.rss() <= settings.maxMemory) return
  clearInterval(watch)
  process.stdout.write(`${JSON.stringify(overMemory)}\n`, end)
}, 20)
