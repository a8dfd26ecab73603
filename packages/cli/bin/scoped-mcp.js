#!/usr/bin/env node
// Runs what was built, or else the sources as they are. On a Node.js that is too old it starts over on the binary of the
// npm package `node`, if that is installed.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

const sourceCondition = "--conditions=@scoped-mcp/source"
const startedOver = "SCOPED_MCP_STARTED_OVER"

const fail = (message) => {
  process.stderr.write(`scoped-mcp: ${message}\n`)
  process.exitCode = 1
}

const findNode = () => {
  try {
    return createRequire(import.meta.url).resolve("node/bin/node")
  } catch {
    return undefined // the npm package is not installed
  }
}

const startOver = (node, flags) => {
  // The fourth is an IPC channel: the other side notices when this process ends, however it does.
  const child = spawn(node, [...flags, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [startedOver]: "1" }
  })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.on("error", (error) => fail(`${node} did not start: ${error.message}`))
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

const endWithLauncher = () => {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))
  process.channel?.unref()
}

const [major, minor] = process.versions.node.split(".").map(Number)
const recent = major > 22 || (major === 22 && minor >= 19)
const built = new URL("../dist/main.js", import.meta.url)
const fromSource = process.execArgv.includes(sourceCondition)
const flags = existsSync(built) ? [] : [sourceCondition]

if (process.env[startedOver] !== undefined) {
  delete process.env[startedOver]
  endWithLauncher()
}

if (recent && (fromSource || flags.length === 0)) {
  await import(fromSource ? "../src/main.ts" : built.href)
} else {
  const node = recent ? process.execPath : findNode()
  if (node === undefined) {
    fail(`needs Node.js 22.19 or newer, this is ${process.versions.node}; update it, or install the npm package "node"`)
  } else {
    startOver(node, fromSource ? [sourceCondition] : flags)
  }
}
