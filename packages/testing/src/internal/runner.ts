/** How a definition of a module becomes the configuration of a server that is a process. */
import { fileURLToPath } from "node:url"
import * as ServerConfig from "@scoped-mcp/core/ServerConfig"
import * as Schema from "effect/Schema"
import * as Fault from "../Fault.ts"
import type { StdioOptions } from "../ScriptedServer.ts"

const bin = fileURLToPath(new URL("../../bin/scoped-mcp-scripted.js", import.meta.url))

/** Who runs from the sources has servers that run from the sources. */
const condition = import.meta.url.endsWith(".ts") ? ["--conditions=@scoped-mcp/source"] : []

const encodeFaults = Schema.encodeSync(Schema.fromJsonString(Schema.Array(Fault.Process)))

export const stdio = (options: StdioOptions, faults: ReadonlyArray<Fault.Process>): ServerConfig.Stdio => {
  const { env, export: name, journal, module, shell, ...limits } = options
  const args = [
    ...condition,
    bin,
    module.href,
    ...(name === undefined ? [] : ["--export", name]),
    ...(journal === undefined ? [] : ["--journal", journal]),
    ...(faults.length === 0 ? [] : ["--faults", encodeFaults(faults)])
  ]
  // The shell does not replace itself by its last command only because another one follows.
  return shell === true
    ? ServerConfig.stdio({
        ...limits,
        env,
        command: "sh",
        args: ["-c", '"$@"; exit $?', "sh", process.execPath, ...args]
      })
    : ServerConfig.stdio({ ...limits, env, command: process.execPath, args })
}
