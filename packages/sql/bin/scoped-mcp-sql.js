#!/usr/bin/env node
// Runs what was built, or else the sources as they are. SQLite's authorizer needs
// Node 24.10: on an older one this starts over on the binary of the npm package
// `node`, if that is installed.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

const isRecent = ([major, minor]) => major > 24 || (major === 24 && minor >= 10)

const findNode = () => {
  try {
    return createRequire(import.meta.url).resolve("node/bin/node")
  } catch {
    return undefined
  }
}

const startOver = (node) => {
  // The fourth is an IPC channel: it closes when this process ends, however it does.
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"]
  })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.on("error", (error) => fail(`${node} did not start: ${error.message}`))
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

const fail = (message) => {
  process.stderr.write(`scoped-mcp-sql: ${message}\n`)
  process.exitCode = 1
}

if (isRecent(process.versions.node.split(".").map(Number))) {
  const built = new URL("../dist/internal/main.js", import.meta.url)
  await import(existsSync(built) ? built.href : "../src/internal/main.ts")
} else {
  const node = findNode()
  if (node === undefined) {
    fail(`needs Node 24.10 or newer, this is ${process.versions.node}; update it, or install the npm package "node"`)
  } else {
    startOver(node)
  }
}
