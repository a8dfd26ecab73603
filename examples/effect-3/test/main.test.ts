import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { test } from "node:test"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

/** Processes that carry a mark in their environment: the program and all it has started. */
const alive = (mark: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark)
    } catch {
      return false // it has ended meanwhile, or is somebody else's
    }
  })

const start = (name: string, ...args: ReadonlyArray<string>) => {
  const mark = `${name}-${process.pid}`
  // Servers see what is given to them; the mark of the runtime is a list that begins with this one.
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, SCOPED_MCP_OWNER: mark } })
  const output = { text: "" }
  child.stdout.on("data", (chunk) => (output.text += String(chunk)))
  child.stderr.on("data", (chunk) => (output.text += String(chunk)))
  return { child, output, mark, ended: once(child, "close") }
}

void test("a program on Effect 3 calls tools, cancels what it gives up, and leaves nothing", async () => {
  const { ended, mark, output } = start("run")
  const [code] = await ended
  assert.match(output.text, /stock: 12 tea, 3 milk \(in 1 block\)/)
  assert.match(output.text, /recount: called off, the server knows: \{"cancelled":1\}/)
  assert.equal(code, 0)
  assert.deepEqual(alive(mark), [])
})

void test("a signal in the middle of a call ends the program and its server", async () => {
  const { child, ended, mark, output } = start("signal", "--wait")
  while (!output.text.includes("waiting")) await once(child.stdout, "data")
  assert.ok(alive(mark).length >= 2)
  child.kill("SIGINT")
  const [code] = await ended
  // To Effect 3 an interrupted program is no failure.
  assert.equal(code, 0)
  assert.deepEqual(alive(mark), [])
})
