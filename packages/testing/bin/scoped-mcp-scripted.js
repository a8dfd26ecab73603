#!/usr/bin/env node
// Serves a definition on stdio: scoped-mcp-scripted MODULE [--export NAME] [--journal FILE] [--faults JSON].
// From the sources, when it was started with their condition or nothing was built yet.
import { existsSync } from "node:fs"
import { enableCompileCache } from "node:module"

// Tests start many of these, one after the other; what was compiled once is kept in the system's temporary folder.
enableCompileCache()
const built = new URL("../dist/internal/main.js", import.meta.url)
const fromSources = process.execArgv.includes("--conditions=@scoped-mcp/source") || !existsSync(built)
await import(fromSources ? "../src/internal/main.ts" : built.href)
