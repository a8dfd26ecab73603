/** Programs of the examples, run as processes of their own; and what is alive of all that they have started. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const alive = (mark: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark)
    } catch {
      return false // it has ended meanwhile, or is somebody else's
    }
  })

let started = 0

export const start = (script: string, variables: Readonly<Record<string, string>> = {}) => {
  const mark = `example-${process.pid}-${++started}`
  // A test runner's variables would switch the handling of signals off, which is shown here.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const path = fileURLToPath(new URL(`../src/${script}`, import.meta.url))
  // The runtime's own mark is a list that begins with this one: what it starts is found by it.
  const child = spawn(process.execPath, [path], { env: { ...env, ...variables, SCOPED_MCP_OWNER: mark } })
  const output = { text: "" }
  child.stdout.on("data", (chunk) => (output.text += String(chunk)))
  child.stderr.on("data", (chunk) => (output.text += String(chunk)))
  const ended = once(child, "close")
  return {
    child,
    output,
    ended,
    left: () => alive(mark),
    said: async (text: RegExp): Promise<string> => {
      for (;;) {
        const found = text.exec(output.text)
        if (found !== null) return found[0]
        await Promise.race([
          once(child.stdout, "data"),
          ended.then(() => Promise.reject(new Error(`it ended: ${output.text}`)))
        ])
      }
    }
  }
}
